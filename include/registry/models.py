"""The model registry: versions and aliases in MLflow, packages that are what was registered, audited promotion."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from include.inference.package import open_package
from include.registry.cache import cached_package, package_digest
from include.registry.logged import download_package, log_model
from include.registry.semantic import SCHEMA_TAG, next_semantic, schema_digest
from include.registry.server import MlflowServer, NotInMlflowError
from include.registry.versions import (
    ALIAS_STAGES,
    AUDIT_PREFIX,
    DIGEST_TAG,
    RUN_TAG,
    SEMANTIC_TAG,
    STAGE_TAG,
    Alias,
    Change,
    Version,
    audit_entry,
    version_of,
)
from include.specs.errors import FactoryError
from include.specs.platform import Platform
from include.store.packages import MANIFEST, Manifest, ModelPackage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Alias", "Change", "Registry", "Version"]


class Registry:
    """The registered models of the platform's MLflow server.

    Every method may be repeated, and bears with a server that is away for ``platform.service_retry_seconds``; after
    that it raises TemporarilyUnavailableError.
    """

    def __init__(self, platform: Platform) -> None:
        self._server = MlflowServer(platform)
        self._cache = platform.home / "cache" / "models"

    def get(self, model: str, which: Alias | int) -> Version | None:
        """Return a version by alias or number, or None when there is none."""
        try:
            if isinstance(which, int):
                return version_of(self._server.ask(lambda client: client.get_model_version(model, str(which))))
            return version_of(self._server.ask(partial(_by_alias, model=model, alias=which)))
        except NotInMlflowError:
            return None

    def versions(self, model: str) -> list[Version]:
        """Return the versions of ``model``, newest first; empty when it was never registered."""
        return [version_of(found) for found in self._server.ask(partial(_all_versions, model=model))]

    def fetch(self, version: Version) -> Path:
        """Return the local folder with the version's package, held against its digest; fetched when it is not there.

        Raises:
            DigestError: the registry holds other files than were registered.
            FactoryError: the version was not registered by the factory.
        """
        if not (digest := version.tags.get(DIGEST_TAG)):
            raise FactoryError(
                f"{version} has no tag {DIGEST_TAG}: it was not registered by the factory; train it here"
            )
        folder = self._cache / version.model / str(version.number)
        return cached_package(folder, digest, partial(self._download, version), str(version))

    def package(self, version: Version) -> ModelPackage:
        """Return the version's package, loaded."""
        return open_package(self.fetch(version))

    def register(
        self,
        model: str,
        package_folder: Path,
        run_name: str,
        mlflow_run: str,
        tags: Mapping[str, str],
        description: str,
        card: str,
    ) -> Version:
        """Register the package of a training run and return its version; the same run registers once.

        Args:
            model: the model's name.
            package_folder: what `include.store.packages.save_package` wrote.
            run_name: run folder of the training run.
            mlflow_run: its MLflow run.
            tags: lineage and results: ``factory.*``.
            description: Markdown that MLflow shows with the version.
            card: the model card, Markdown; kept beside the model.

        Raises:
            PackageError: the package cannot be loaded.
        """
        version = self._of_run(model, run_name)
        if version is None:
            manifest = Manifest.model_validate_json((package_folder / MANIFEST).read_bytes())
            known = {
                **tags,
                RUN_TAG: run_name,
                DIGEST_TAG: package_digest(package_folder),
                SCHEMA_TAG: schema_digest(manifest),
                STAGE_TAG: "None",
            }
            model_id = self._log_model(model, package_folder, mlflow_run, card)
            create = partial(
                _create_version,
                model=model,
                model_id=model_id,
                mlflow_run=mlflow_run,
                tags=known,
                description=description,
            )
            version = version_of(self._server.ask(create))
        return version if version.semantic else self._number_semantically(version)

    def set_alias(self, version: Version, alias: Alias) -> Version:
        """Give ``alias`` to ``version``, away from whichever had it, and let the stage tags say so."""
        before = self.get(version.model, alias)
        self._server.ask(lambda client: client.set_registered_model_alias(version.model, alias, str(version.number)))
        self.tag(version, STAGE_TAG, ALIAS_STAGES[alias])
        if before is not None and before.number != version.number and set(before.aliases) == {alias}:
            self.tag(before, STAGE_TAG, "Archived" if alias == "champion" else "None")
        return self._again(version)

    def promote(self, model: str, number: int, change: Change) -> Version | None:
        """Make version ``number`` the champion, and archive the champion before it and what is older.

        A release that is undone promotes the former champion again.

        The alias moves in one request; a call that died half-way is completed by the next one. Archived versions stay
        loadable.

        Returns:
            The champion before, or None when this is the first one.

        Raises:
            FactoryError: there is no such version.
        """
        version = self.require(model, number)
        key = f"{AUDIT_PREFIX}promoted.{change.run}"
        champion = self.get(model, "champion")
        if key not in version.tags:
            previous = champion.number if champion is not None and champion.number != number else None
            self.tag(version, key, audit_entry(change, previous=previous))
        else:
            previous = json.loads(version.tags[key])["previous"]
        if champion is None or champion.number != number:
            version = self.set_alias(version, "champion")
        else:
            self.tag(version, STAGE_TAG, "Production")
        if "challenger" in version.aliases:
            self._server.ask(lambda client: client.delete_registered_model_alias(model, "challenger"))
        for other in self.versions(model):
            superseded = other.number == previous or (other.number < number and other.stage != "Archived")
            if superseded and not other.aliases:
                self.archive(other, Change(f"version {number} took its place", change.run, change.by))
        return self.get(model, previous) if previous is not None else None

    def archive(self, version: Version, change: Change) -> None:
        """Mark ``version`` as archived; it stays loadable.

        Raises:
            FactoryError: it is the champion.
        """
        if "champion" in version.aliases:
            raise FactoryError(f"{version} is the champion and cannot be archived; promote another version first")
        self.tag(version, STAGE_TAG, "Archived")
        self.record(version, "archived", change)

    def record(self, version: Version, what: str, change: Change) -> None:
        """Write into the version's audit that ``what`` happened to it."""
        key = f"{AUDIT_PREFIX}{what}.{change.run}"
        if key not in version.tags:
            self.tag(version, key, audit_entry(change))

    def tag(self, version: Version, key: str, value: str) -> None:
        """Set a tag of ``version``."""
        self._server.ask(lambda client: client.set_model_version_tag(version.model, str(version.number), key, value))

    def require(self, model: str, number: int) -> Version:
        """Return version ``number``.

        Raises:
            FactoryError: there is no such version; the message says which there are.
        """
        if (version := self.get(model, number)) is not None:
            return version
        known = ", ".join(str(v.number) for v in self.versions(model)) or "none; run its automl_pipeline first"
        raise FactoryError(f"'{model}' has no version {number}; there are: {known}")

    def version_url(self, version: Version) -> str:
        """Return the URL of the version's page in MLflow."""
        return self._server.page(f"models/{version.model}/versions/{version.number}")

    def _again(self, version: Version) -> Version:
        return self.require(version.model, version.number)

    def _of_run(self, model: str, run_name: str) -> Version | None:
        return next((version for version in self.versions(model) if version.run == run_name), None)

    def _log_model(self, model: str, package_folder: Path, mlflow_run: str, card: str) -> str:
        """Log the package as an MLflow model that belongs to the training run; return the logged model's id."""
        with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
            return log_model(self._server, model, package_folder, mlflow_run, card, Path(scratch) / "model")

    def _download(self, version: Version, target: Path) -> Path:
        return download_package(self._server, version.model, version.number, target)

    def _number_semantically(self, version: Version) -> Version:
        """Set the semantic version, which follows from the tags of this version and those before it alone.

        Tags are written together with the version and numbers are given by the server, so that registrations at the
        same time agree on every semantic version, whichever of them comes first to write it.
        """
        semantic, before = None, None
        for step in reversed(self.versions(version.model)):
            if step.number <= version.number:
                semantic = step.semantic or next_semantic(semantic, before.tags if before else {}, step.tags)
                before = step
        self.tag(version, SEMANTIC_TAG, str(semantic))
        return self._again(version)


def _by_alias(client: MlflowClient, model: str, alias: str) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model, alias)
    except MlflowException as error:
        if "alias" in str(error) and error.error_code == "INVALID_PARAMETER_VALUE":
            raise NotInMlflowError(f"'{model}' has no {alias}") from error  # MLflow has no code of its own for this
        raise


def _all_versions(client: MlflowClient, model: str) -> list[ModelVersion]:
    """Return every version, newest first, with its aliases: a search leaves them out."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(model).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return []
        raise
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name = '{model}'", max_results=200, page_token=token)
        found += page
        if not (token := page.token):
            break
    for version in found:
        version.aliases = [alias for alias, number in aliases.items() if str(number) == str(version.version)]
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def _create_version(
    client: MlflowClient, model: str, model_id: str, mlflow_run: str, tags: dict[str, str], description: str
) -> ModelVersion:
    """Create a version, or return the one that an earlier try made of the same run."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in _all_versions(client, model):
        if version.tags.get(RUN_TAG) == tags[RUN_TAG]:
            return version
    return client.create_model_version(
        model, f"models:/{model_id}", run_id=mlflow_run, tags=tags, description=description, model_id=model_id
    )
