"""The Feast feature store of the platform: opened, and brought up to date with its repository's definitions.

``feature_store.yaml`` takes its stores from the environment, so that one file serves a laptop and a cluster. This
module fills that environment in from the platform's settings; ``python -m include.store.feature_store`` applies the
definitions.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from include.specs import ROOT, FactoryError, Platform, load_platform
from include.store.locks import exclusive

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore, FeatureView

CONFIG = "feature_store.yaml"
_APPLY_SECONDS = 300
_PASSWORD = re.compile(r"""password["']?\s*[:=]\s*["']?([^\s"',}]+)|://[^\s:/@]*:([^\s@/]+)@""")
"""A password in a YAML mapping, in Redis' connection string, or in a URI."""
log = logging.getLogger(__name__)


class FeatureStoreError(FactoryError):
    """The feature store cannot be opened, or its definitions cannot be applied."""


def environment(platform: Platform) -> dict[str, str]:
    """Return the variables that ``feature_store.yaml`` and the definitions read."""
    folder, feast = platform.home / "feast", platform.feast
    registry = feast.registry.get_secret_value()
    online = feast.online_store.get_secret_value()
    return {
        "FACTORY_FEAST__REGISTRY": registry or json.dumps({"path": str(folder / "registry.db")}),
        "FACTORY_FEAST__ONLINE_STORE": online or json.dumps({"type": "sqlite", "path": str(folder / "online.db")}),
        "FACTORY_FEAST__OFFLINE_STORE": feast.offline_store.get_secret_value(),
        "FACTORY_FEAST__DATA": data_folder(platform),
    }


def data_folder(platform: Platform) -> str:
    """Return the folder, or the URI, of the Parquet files behind the shipped feature views."""
    return platform.feast.data or str(platform.home / "feature_data")


def repo_folder(repo: str) -> Path:
    """Return the folder of the feature repository ``repo``, which is relative to the project.

    Raises:
        FeatureStoreError: there is no such repository.
    """
    folder = (ROOT / repo).resolve()
    if not (folder / CONFIG).is_file():
        raise FeatureStoreError(f"{folder / CONFIG} is missing; correct 'repo', or write that file (docs/features.md)")
    return folder


def open_feature_store(platform: Platform, repo: str | None = None) -> FeatureStore:
    """Return the Feast store of ``repo`` (the platform's when None).

    Raises:
        FeatureStoreError: there is no such repository, or Feast refuses its configuration.
    """
    import yaml
    from feast import FeatureStore, RepoConfig
    from feast.errors import FeastError

    folder = repo_folder(repo or platform.feast.repo)
    (platform.home / "feast").mkdir(parents=True, exist_ok=True)
    text = (folder / CONFIG).read_text(encoding="utf-8")
    filled = Template(text).safe_substitute({**os.environ, **environment(platform)})
    try:
        config = RepoConfig(**yaml.safe_load(filled))
        config.repo_path = folder
        return FeatureStore(config=config)
    except (FeastError, ValueError, TypeError, OSError, yaml.YAMLError) as error:
        reason = redacted(str(error).strip().splitlines()[0], environment(platform))
        raise FeatureStoreError(f"{folder / CONFIG}: {reason}; correct it, or FACTORY_FEAST__*") from error


def service_views(store: FeatureStore, service: FeatureService) -> list[FeatureView]:
    """Return the stored feature views that ``service`` reads, those behind its on-demand views too, by name."""
    wanted = {projection.name for projection in service.feature_view_projections}
    for view in store.list_on_demand_feature_views(allow_cache=True):
        if view.name in wanted:
            wanted |= {projection.name for projection in view.source_feature_view_projections.values()}
    views = store.list_feature_views(allow_cache=True)
    return sorted((view for view in views if view.name in wanted), key=lambda view: str(view.name))


def apply_definitions(platform: Platform, repo: str | None = None) -> bool:
    """Bring the registry up to date with the repository's definitions; tell whether anything had to be done.

    Feast's own command does it, in a process of its own: it imports the definitions and changes directory. What was
    applied is remembered by digest in ``home``, as the command takes about ten seconds.

    Raises:
        FeatureStoreError: Feast refuses the definitions; the message holds what it said.
    """
    folder = repo_folder(repo or platform.feast.repo)
    variables = environment(platform)
    wanted = _digest(folder, variables)
    home = platform.home / "feast"
    home.mkdir(parents=True, exist_ok=True)
    marker = home / "applied.txt"
    with exclusive(platform, "feast.apply"):
        if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
            return False
        marker.unlink(missing_ok=True)
        _apply(folder, variables)
        marker.write_text(wanted, encoding="utf-8")
    return True


def redacted(text: str, variables: dict[str, str]) -> str:
    """Return ``text`` without the passwords of ``variables``, in which Feast's messages may quote its configuration."""
    found = [one for value in variables.values() for one in _PASSWORD.findall(value)]
    for password in sorted({one for groups in found for one in groups if one}, key=len, reverse=True):
        text = text.replace(password, "***")
    return text


def _apply(folder: Path, variables: dict[str, str]) -> None:
    command = [sys.executable, "-c", "from feast.cli.cli import cli; cli()", "-c", str(folder), "apply"]
    log.info("feast apply in %s", folder)
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **variables, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_APPLY_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise FeatureStoreError(
            f"feast apply took longer than {_APPLY_SECONDS} s; is the registry reachable?"
        ) from error
    if done.returncode:
        said = redacted("\n".join((done.stderr or done.stdout).strip().splitlines()[-5:]), variables)
        raise FeatureStoreError(f"feast apply refused the definitions in {folder}:\n{said}")


def _digest(folder: Path, variables: dict[str, str]) -> str:
    """Return the digest of everything that an apply depends on."""
    total = hashlib.sha256(json.dumps(variables, sort_keys=True).encode())
    for file in sorted([folder / CONFIG, *folder.glob("*.py")]):
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        print("applied" if apply_definitions(load_platform()) else "nothing changed")
    except FactoryError as error:
        sys.exit(f"failed: {error}")
