"""Platform settings: where things run and where bytes live, from ``config/platform.yaml`` and ``FACTORY_*``."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from include.specs.base import Spec
from include.specs.errors import Problem, SpecError, did_you_mean
from include.specs.loader import ROOT


class Kubernetes(Spec):
    """How a step's pod is started when the runtime is kubernetes."""

    namespace: str = "model-factory"
    image: str = "model-factory/ml:latest"
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    service_account: str = "factory-step"
    in_cluster: bool = True
    config_file: str | None = None
    secret: str | None = "factory-secrets"  # noqa: S105 - the name of a Secret, not its content
    """Secret whose keys become the pod's environment (FACTORY_* and AWS_*); nothing secret is put in the pod's spec."""
    config_map: str | None = "factory-config"
    """ConfigMap whose keys become the pod's environment."""


class Feast(Spec):
    """Where the feature store keeps its bytes; `feast/feature_repo/feature_store.yaml` reads the same variables."""

    repo: str = "feast/feature_repo"
    """Folder of the feature repository."""
    registry: SecretStr = SecretStr("")
    """Feast's 'registry' as YAML, such as {registry_type: sql, path: 'postgresql+psycopg://…'}; a file when empty."""
    online_store: SecretStr = SecretStr("")
    """Feast's 'online_store' as YAML, such as {type: redis, connection_string: 'redis:6379'}; SQLite when empty."""
    offline_store: str = "{type: duckdb}"
    """Feast's 'offline_store' as YAML. Its default 'file' store drops entity rows silently."""
    data: str = ""
    """Folder of the Parquet files behind the shipped feature views; <home>/feature_data when empty."""


class Serving(Spec):
    """Bounds of the model server: beyond them it says no at once instead of collapsing."""

    workers: int = Field(default=1, ge=1)
    """Processes that answer on the same port."""
    default_model: str | None = None
    """Who answers ``/predict``; the only model that is served, when there is one alone."""
    device: str = "cpu"
    """Where models compute: ``cpu``, ``cuda`` or ``cuda:1``; a runtime that does not know the device refuses it."""
    cache: str = "off"
    """Where answers are kept for rows that come again: ``off``, ``memory`` or ``redis://host:port/0``."""
    cache_rows: int = Field(default=100_000, ge=1)
    """Answers that the cache in memory holds, in each worker; the ones not asked for longest leave first."""
    cache_ttl_seconds: float = Field(default=3600.0, gt=0)
    """How long an answer stays in the cache."""
    max_body_mb: float = Field(default=16.0, gt=0)
    """Largest request body (MiB); larger ones get 413."""
    max_rows: int = Field(default=10_000, ge=1)
    """Most rows in one request; more get 413."""
    max_waiting_rows: int = Field(default=2_000, ge=1)
    """Rows that may wait for a model version; beyond them a request gets 503 with Retry-After."""
    body_timeout_seconds: float = Field(default=20.0, gt=0)
    """How long a client may take to send its body; slower ones get 408."""
    header_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a connection may take to send the head of a request, or stay open between two; it is closed then."""
    predict_timeout_seconds: float = Field(default=30.0, gt=0)
    """How long a model may take to answer, waiting included; then the request gets 504."""
    grpc_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the Open Inference Protocol over gRPC, on the same address; not spoken when null."""
    max_connections: int = Field(default=4096, ge=1)
    """Connections that a worker holds at once; more wait until one is free."""
    max_spool_mb: float = Field(default=1024.0, gt=0)
    """Disk space (MiB) for predictions that wait for the database; beyond it new ones are not recorded, and counted."""
    log_uri: SecretStr = SecretStr("")
    """Where predictions go: sqlite:///…, postgresql://… or kafka://host:9092/topic; the factory's database if empty."""
    kafka_options: SecretStr = SecretStr("")
    """librdkafka properties as YAML, such as {security.protocol: SASL_SSL, sasl.username: …}; credentials go here."""
    log_sync_seconds: float = Field(default=0.5, gt=0, le=1)
    """How often what was recorded is forced to the disk: how much a loss of power can cost."""
    log_sample: float = Field(default=1.0, ge=0, le=1)
    """Share of the predictions that are recorded, chosen by a hash of their id; labels and rewards are always kept."""
    log_samples: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Model → share, for models that need another one."""
    refresh_seconds: float = Field(default=5.0, gt=0)
    """How often the server looks whether another process changed the routing table or the API keys."""
    require_key: bool = False
    """Ask predictions for an API key even while there is none; otherwise the first key that is made closes them."""
    rate: float = Field(default=0.0, ge=0)
    """Rows a second that one API key may ask for, where the key itself names no rate; 0 for no limit."""
    burst: float = Field(default=0.0, ge=0)
    """Rows at once within that rate; as many as one second allows when 0."""
    anonymous_rate: float = Field(default=0.0, ge=0)
    """Rows a second from one client address without a key; 0 for no limit."""
    anonymous_burst: float = Field(default=0.0, ge=0)
    """Rows at once from one client address without a key; as many as one second allows when 0."""
    tls_certificate: str = ""
    """PEM file of the server's certificate and its chain, for HTTP and gRPC; plain text when empty."""
    tls_key: str = ""
    """PEM file of that certificate's private key, not encrypted."""
    tls_client_ca: str = ""
    """PEM file of who signs the certificates of clients; with it every client must show one (mutual TLS)."""
    tls_version: Literal["1.2", "1.3"] = "1.2"
    """Lowest version of TLS that is spoken."""
    log_format: Literal["text", "json"] = "text"
    """How the server writes its log to the standard error: lines for people, or one JSON object a line."""
    access_log: bool = False
    """Log each request: path, status, time, rows, caller; never a body, never a value."""
    tracing_endpoint: str = ""
    """OTLP/HTTP collector of traces, such as http://otel:4318; OTEL_EXPORTER_OTLP_ENDPOINT when empty, else none."""
    tracing_ratio: float = Field(default=1.0, ge=0, le=1)
    """Share of the traces begun here that are recorded; a caller's own decision (``traceparent``) goes first."""


class Platform(BaseSettings):
    """Every platform setting. The defaults run on a laptop with nothing but Python."""

    model_config = SettingsConfigDict(
        env_prefix="FACTORY_", env_nested_delimiter="__", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    home: Path = Path(".factory")
    """Folder of everything the embedded stack keeps; relative to the project."""
    runtime: Literal["process", "kubernetes"] = "process"
    """Where a step runs: in a process beside Airflow's worker, or in a pod."""
    artifacts_uri: str = ""
    """fsspec URI of the artifact store; <home>/artifacts when empty."""
    database_uri: SecretStr = SecretStr("")
    """SQLAlchemy URI of the factory's tables (prediction log, signals, routes); SQLite in <home> when empty."""
    optuna_uri: SecretStr = SecretStr("")
    """Optuna storage: a SQLAlchemy URI, or empty for a journal file in <home>."""
    mlflow_uri: str = "http://127.0.0.1:5500"
    """MLflow tracking and registry server."""
    serving_target: Literal["local"] = "local"
    """Where releases run."""
    serving_url: str = "http://127.0.0.1:8500"
    """Base URL of the model server."""
    serving_key: SecretStr = SecretStr("")
    """Key that the operate endpoints of the model server ask for; <home>/serving.key when empty."""
    serving_ca: str = ""
    """PEM file of who signed the model server's certificate, for an https ``serving_url``; the system's when empty."""
    serving_certificate: str = ""
    """PEM file of the certificate that the factory's own steps show where the model server asks for one."""
    serving_certificate_key: str = ""
    """PEM file of that certificate's private key; in the same file as the certificate when empty."""
    serving: Serving = Serving()
    airflow_url: str = "http://127.0.0.1:8080"
    """Base URL of Airflow's API server, for links and the command line."""
    feast: Feast = Feast()
    kubernetes: Kubernetes = Kubernetes()
    service_retry_seconds: float = Field(default=60.0, ge=0)
    """How long a step keeps trying a service that does not answer before it fails with a message."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then ``config/platform.yaml``."""
        return (
            init_settings,
            env_settings,
            YamlConfigSettingsSource(settings_cls, yaml_file=platform_file()),
        )

    def model_post_init(self, _context: Any, /) -> None:
        """Resolve the defaults that depend on ``home``."""
        home = (ROOT / self.home).resolve()
        object.__setattr__(self, "home", home)
        if not self.artifacts_uri:
            object.__setattr__(self, "artifacts_uri", (home / "artifacts").as_uri())
        if not self.database_uri.get_secret_value():
            object.__setattr__(self, "database_uri", SecretStr(f"sqlite:///{home / 'factory.db'}"))


def platform_file() -> Path:
    """Return the settings file: ``FACTORY_PLATFORM_FILE``, or ``config/platform.yaml`` of the project."""
    return Path(os.environ.get("FACTORY_PLATFORM_FILE", ROOT / "config" / "platform.yaml"))


@lru_cache(maxsize=1)
def load_platform() -> Platform:
    """Return the platform settings; read once per process (tests call ``load_platform.cache_clear()``).

    Raises:
        SpecError: a setting is unknown or of the wrong type; every problem is listed.
    """
    path = platform_file()
    try:
        platform = Platform()
    except ValidationError as error:
        problems = [
            Problem(
                f"{path.name} or FACTORY_{'__'.join(map(str, item['loc'])).upper()}",
                item["msg"],
                "see docs/platform.md",
            )
            for item in error.errors()
        ]
        raise SpecError(problems) from error
    unknown = _unknown_keys(path)
    if unknown:
        raise SpecError(unknown)
    return platform


def _unknown_keys(path: Path) -> list[Problem]:
    """Return a problem for each key of the file that no setting has; a typing error must not pass silently."""
    import yaml

    document = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    known = Platform.model_fields
    return [
        Problem(f"{path.name}: {key}", f"unknown setting '{key}'", did_you_mean(str(key), known))
        for key in (document or {})
        if key not in known
    ]
