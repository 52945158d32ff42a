"""Settings of the feature store."""

from __future__ import annotations

from pydantic import SecretStr

from include.specs.base import Spec


class Feast(Spec):
    """Where the feature store keeps its bytes; `feast/feature_repo/feature_store.yaml` reads the same variables."""

    repo: str = "feast/feature_repo"
    """Folder of the feature repository."""
    registry: SecretStr = SecretStr("")
    """Feast's 'registry' as YAML, such as {registry_type: sql, path: 'postgresql+psycopg://…'}; a file when empty."""
    online_store: SecretStr = SecretStr("")
    """Feast's 'online_store' as YAML, such as {type: redis, connection_string: 'redis:6379'}; SQLite when empty."""
    offline_store: SecretStr = SecretStr("{type: duckdb}")
    """Feast's 'offline_store' as YAML, such as {type: postgres, host: db, database: …, user: …, password: …}, in which
    the shipped feature views are tables then. Its default 'file' store drops entity rows silently."""
    data: str = ""
    """Folder of the Parquet files behind the shipped feature views; <home>/feature_data when empty."""
