"""Settings of the model server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from include.specs.base import Spec


class Serving(Spec):
    """Bounds of the model server: beyond them it says no at once instead of collapsing."""

    workers: int = Field(default=1, ge=1)
    """Processes that answer on the same port."""
    default_model: str | None = None
    """Who answers ``/predict``; the only model that is served, when there is one alone."""
    pinned: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,62}/[1-9][0-9]{0,8})?$")] = ""
    """``<model>/<version>``: serve this version alone, whatever the routing table says, as pods of a cluster do."""
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
