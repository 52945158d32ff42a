"""Import all that the server may import, which proves that it is there, and leaves its bytecode in the image."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import include

LAZY = (
    "boto3", "confluent_kafka", "grpc", "lightgbm", "mlflow.artifacts", "onnxruntime",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", "psycopg", "redis.asyncio",
    "skops.io", "sklearn.ensemble",
    "sklearn.linear_model", "sklearn.pipeline", "sqlalchemy.dialects.postgresql", "uvloop", "xgboost",
)  # fmt: skip
"""Libraries that the house imports where it uses them."""
DATA_ONLY = ("include.features.", "include.store.online")
"""Copied along for what fitted estimators need; feature look-ups need Feast, which this image does not have."""


def main() -> None:
    """Import every module of the house, and the libraries behind them."""
    for module in pkgutil.walk_packages(include.__path__, "include."):
        if not module.name.startswith(DATA_ONLY) and not module.name.endswith("__main__"):
            import_module(module.name)
    for name in (*LAZY, "include.features.plan"):
        import_module(name)


if __name__ == "__main__":
    main()
