"""Platform settings: where things run and where bytes live, from ``config/platform.yaml`` and ``FACTORY_*``."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from include.specs.errors import Problem, SpecError, did_you_mean
from include.specs.loader import ROOT
from include.specs.platform.cluster_target import ClusterTarget
from include.specs.platform.engines import Engines
from include.specs.platform.feast import Feast
from include.specs.platform.kubernetes import Kubernetes
from include.specs.platform.serving import Serving


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
    serving_target: Literal["local", "seldon", "kserve"] = "local"
    """Where releases run: on the model server at ``serving_url``, or on Kubernetes by Seldon Core or KServe."""
    cluster_target: ClusterTarget = ClusterTarget()
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
    airflow_user: str = "admin"
    """Who triggers runs from the command line (``make life``); the embedded stack has a user of its own."""
    airflow_password: SecretStr = SecretStr("")
    """That user's password."""
    feast: Feast = Feast()
    engines: Engines = Engines()
    ray_address: str = ""
    """Ray cluster: host:6379 from one of its nodes, ray://host:10001 from outside; one of the step's own when empty."""
    spark_master: str = "local[*]"
    """Spark master, such as spark://host:7077, k8s://https://host:6443 or local-cluster[2,1,1024]."""
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
