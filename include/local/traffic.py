"""Traffic for the shipped run: weeks of requests with their later labels, quiet at first and drifted then."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.specs import ModelSpec, Platform
from include.specs.data import DatasetSource
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder

QUIET_WEEKS, DRIFT_WEEKS = 4, 3
"""Weeks of traffic before and after drift begins."""
ROLLOUT_WEEK = QUIET_WEEKS + DRIFT_WEEKS
"""The week whose requests arrive while the challenger is rolled out."""


@dataclass(frozen=True)
class Request:
    """One request with the label that becomes known later."""

    id: str
    event_time: datetime
    features: dict[str, Any]
    label: Any


class Traffic(ABC):
    """Weeks of requests: numbers 0 … QUIET_WEEKS-1 are undrifted, later ones are drifted."""

    story: str
    """One sentence that says how the drift comes about."""

    @abstractmethod
    def week(self, number: int) -> list[Request]:
        """Return the requests of one week, oldest first; the same ones at each call."""


class ChurnTraffic(Traffic):
    """The simulated subscription business goes on; its documented shift begins in week 60."""

    story = "the simulated business raises prices and changes its customers' habits (docs/churn.md)"
    per_week = 400
    first_week = 60 - QUIET_WEEKS

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def week(self, number: int) -> list[Request]:
        """Return the customers observed in week ``first_week + number`` of the simulation."""
        from include.data.churn import simulate

        week = self.first_week + number
        frame = simulate(start_week=week, weeks=1, per_week=self.per_week, seed=0)
        frame = frame.sort_values("observed_at").reset_index(drop=True)
        hidden = [self.spec.problem.target, self.spec.data.time, self.spec.data.id]
        features = frame.drop(columns=[name for name in hidden if name])
        rows = json.loads(features.to_json(orient="records", date_format="iso"))
        return [
            Request(f"{self.spec.name}-{week}-{i}", time.to_pydatetime(), row, label)
            for i, (row, time, label) in enumerate(
                zip(rows, frame["observed_at"], frame[self.spec.problem.target].tolist(), strict=True)
            )
        ]


class HeldOutTraffic(Traffic):
    """Rows that training held out; drift is a change of mix: real rows with high values of one feature only.

    No value and no label is made up: the drifted weeks draw from the upper part of the held-out rows by the most
    important numeric feature, the quiet ones from a random part of them.
    """

    def __init__(self, spec: ModelSpec, platform: Platform, training: Result) -> None:
        from include.features.prepared import Prepared

        self.spec = spec
        store = ArtifactStore.of(platform)
        folder = RunFolder(store, spec.name, training.run)
        with store.local(folder.path("prepare", "prepared")) as path:
            prepared = Prepared.load(path)
        rows = prepared.test.copy()
        codes = prepared.test_target
        rows["__label"] = [prepared.classes[int(code)] for code in codes] if prepared.classes else codes.tolist()
        shuffled = rows.sample(frac=1.0, random_state=0).reset_index(drop=True)
        quiet_rows = len(shuffled) // 2
        self._types = {field.name: field.type for field in prepared.fields}
        self._feature = self._drifting_feature(store, folder)
        self._quiet = shuffled.iloc[:quiet_rows]
        pool = shuffled.iloc[quiet_rows:]
        bound = pool[self._feature].quantile(0.4)
        self._drifted = pool[pool[self._feature] >= bound]
        self._start = self._first_monday(folder)
        self.story = f"only rows with {self._feature} >= {bound:g} arrive: a change of mix among real, held-out rows"

    def _drifting_feature(self, store: ArtifactStore, folder: RunFolder) -> str:
        """Return the most important numeric feature."""
        importance: list[dict[str, Any]] = json.loads(store.read_bytes(folder.path("evaluate", "importance.json")))
        ranked = [str(row["feature"]) for row in importance]
        numeric = [name for name in ranked if self._types.get(name) == "number"]
        return (numeric or [name for name, kind in self._types.items() if kind == "number"])[0]

    def _first_monday(self, folder: RunFolder) -> datetime:
        """Return the Monday after the snapshot's last event, or one that puts all weeks before now."""
        last = folder.result("snapshot").values.get("last_event")
        day = datetime.fromisoformat(last) if last else datetime.now(UTC) - timedelta(weeks=ROLLOUT_WEEK + 2)
        day = day if day.tzinfo else day.replace(tzinfo=UTC)
        monday = day + timedelta(days=7 - day.weekday())
        return monday.replace(hour=0, minute=0, second=0, microsecond=0)

    def week(self, number: int) -> list[Request]:
        """Return one week's share of the quiet or of the drifted rows; no row comes twice."""
        drifted = number >= QUIET_WEEKS
        rows, shares = (self._drifted, DRIFT_WEEKS + 1) if drifted else (self._quiet, QUIET_WEEKS)
        index = number - QUIET_WEEKS if drifted else number
        size = len(rows) // shares
        chosen = rows.iloc[index * size : (index + 1) * size]
        step = timedelta(days=7) / max(len(chosen), 1)
        begin = self._start + timedelta(weeks=number)
        return [
            Request(f"{self.spec.name}-{number}-{i}", begin + i * step, self._features(row), row["__label"])
            for i, row in enumerate(chosen.to_dict(orient="records"))
        ]

    def _features(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: _json_value(row[name], kind) for name, kind in self._types.items()}


def _json_value(value: Any, kind: str) -> Any:
    """Return a value of a typed frame as a caller would send it."""
    if value is None or value != value or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind == "boolean":
        return bool(value)
    if kind == "datetime":
        return value.isoformat()
    return value


def traffic_for(spec: ModelSpec, platform: Platform, training: Result) -> Traffic:
    """Return the traffic of a model whose training run left ``training``."""
    source = spec.data.source
    if isinstance(source, DatasetSource) and source.name == "churn_simulated":
        return ChurnTraffic(spec)
    return HeldOutTraffic(spec, platform, training)
