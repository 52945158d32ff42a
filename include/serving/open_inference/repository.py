"""What the Open Inference Protocol tells of a server and its models: metadata, index, statistics, configuration."""

from __future__ import annotations

from typing import Any

from include.serving.models.host import ModelHost
from include.serving.models.loaded import LoadedModel
from include.serving.open_inference import protocol

RELEASE = "0.1.0"
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")


def server_metadata() -> dict[str, Any]:
    """Return the server's name, version and extensions of the protocol."""
    return {"name": "model-factory", "version": RELEASE, "extensions": list(EXTENSIONS)}


def model_metadata(host: ModelHost, model: str, version: str | None) -> dict[str, Any]:
    """Return the metadata of a model as the named version, or the first of its route, has it.

    Raises:
        ServingError: 404 no such model or version, 503 it is being loaded.
    """
    found = loaded(host, model, version)
    return protocol.metadata(model, sorted(host.versions(model), key=int), found.manifest, found.scorer.name)


def loaded(host: ModelHost, model: str, version: str | None) -> LoadedModel:
    """Return a version in memory: the one that is named, or the first of the route.

    Raises:
        ServingError: 404 no such model or version, 503 it is being loaded.
    """
    served, pinned = host.find(model, version)
    return (pinned or served.variants[0]).model


def index(host: ModelHost, only_ready: bool = False) -> list[dict[str, str]]:
    """Return one entry a version in memory, and one for each model that could not be loaded."""
    entries = [
        {"name": name, "version": version, "state": "READY", "reason": ""}
        for name in host.models
        for version in sorted(host.versions(name), key=int)
    ]
    if not only_ready:
        entries += [
            {"name": name, "version": "", "state": "UNAVAILABLE", "reason": reason}
            for name, reason in host.failures.items()
            if not host.versions(name)
        ]
    return entries


def statistics(host: ModelHost, model: str | None, version: str | None) -> list[dict[str, Any]]:
    """Return what each version did since the current revision of its route; rows count, not requests.

    ``ns`` is the number of answered rows times the median latency of their requests; failures are not timed.

    Raises:
        ServingError: 404 no such model or version, 503 it is being loaded.
    """
    if model is not None:
        loaded(host, model, version)
    found = []
    for name in [model] if model is not None else sorted(host.served):
        served, pinned = host.find(name, version)
        for variant in [pinned] if pinned else served.everyone:
            counts = variant.statistics.as_counts().as_dict()
            answered = counts["requests"] - counts["errors"]
            success = {"count": answered, "ns": round(answered * (counts["latency_ms"]["p50"] or 0.0) * 1e6)}
            found.append(
                {
                    "name": name,
                    "version": variant.model.version,
                    "inference_count": answered,
                    "inference_stats": {"success": success, "fail": {"count": counts["errors"], "ns": 0}},
                }
            )
    return found


def configuration(host: ModelHost, model: str, version: str | None, max_rows: int) -> dict[str, Any]:
    """Return a model's description in the terms of Triton's model configuration, as far as they apply.

    Raises:
        ServingError: 404 no such model or version, 503 it is being loaded.
    """
    described = model_metadata(host, model, version)

    def tensors(kind: str) -> list[dict[str, Any]]:
        return [
            {"name": item["name"], "data_type": _type(item["datatype"]), "dims": item["shape"][1:] or [1]}
            for item in described[kind]
        ]

    return {
        "name": model,
        "platform": described["platform"],
        "backend": "model_factory",
        "max_batch_size": max_rows,
        "input": tensors("inputs"),
        "output": tensors("outputs"),
    }


def _type(datatype: str) -> str:
    return "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
