"""Optuna's studies: from journal files, one a search, into one database."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from include.automl.storage import open_storage
from include.migration.part import Count
from include.migration.rows import looking_at
from include.specs import Platform

if TYPE_CHECKING:
    import optuna


class Studies:
    """Every study of the embedded factory's searches."""

    title = "Optuna studies"

    def __init__(self, source: Platform, target: Platform) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._uri = target.optuna_uri.get_secret_value()
        self._files = sorted((source.home / "optuna").glob("*/*.log"))

    def prepare(self) -> None:
        """Make the database and Optuna's tables."""
        open_storage(self._uri)

    def foreign(self) -> str:
        """Return how many studies the target has."""
        count = len(self._target.get_all_studies())
        return f"{count} studies" if count else ""

    def copy(self) -> None:
        """Copy the studies that are missing; one that a kill left half-way is begun again."""
        import optuna

        target = self._target
        there = {study.study_name for study in target.get_all_studies()}
        for file, name in self._named():
            if name in there:
                if _digest(_study(name, open_storage(str(file)))) == _digest(_study(name, target)):
                    continue
                optuna.delete_study(study_name=name, storage=target)
            optuna.copy_study(from_study_name=name, from_storage=open_storage(str(file)), to_storage=target)

    def compare(self) -> list[Count]:
        """Return a line a study, which counts its trials."""
        target = self._target
        there = {study.study_name for study in target.get_all_studies()}
        found = []
        for file, name in self._named():
            ours = _study(name, open_storage(str(file)))
            theirs = _study(name, target) if name in there else None
            arrived = len(theirs.trials) if theirs else 0
            found.append(
                Count(name, len(ours.trials), arrived, theirs is not None and _digest(ours) == _digest(theirs))
            )
        return found

    @property
    def _target(self) -> Any:
        """Optuna's storage of the target; an empty one while its tables are not there."""
        from optuna.storages import InMemoryStorage

        there = sa.inspect(looking_at(self._uri)).has_table("studies")
        return open_storage(self._uri) if there else InMemoryStorage()

    def _named(self) -> list[tuple[Path, str]]:
        return [(file, study.study_name) for file in self._files for study in open_storage(str(file)).get_all_studies()]


def _study(name: str, storage: Any) -> optuna.Study:
    import optuna

    return optuna.load_study(study_name=name, storage=storage)


def _digest(study: optuna.Study) -> str:
    """Return the digest of what a search reads: trials by number, with their values, and the study's own notes."""
    trials = [
        [trial.number, trial.state.name, trial.values, trial.params, trial.intermediate_values, trial.user_attrs]
        for trial in study.trials
    ]
    text = json.dumps([[one.name for one in study.directions], study.user_attrs, trials], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()
