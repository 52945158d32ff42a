"""Analyse a window: run every monitor over the rows of one version, and say what was concluded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.monitoring.counts import WindowCounts
from include.monitoring.drift import ColumnDrift, Compared, DriftMonitor, compared
from include.monitoring.monitor import Monitor, MonitorResult
from include.monitoring.performance import PerformanceMonitor
from include.monitoring.quality import QualityMonitor
from include.monitoring.sample import Reference, ReferenceMissingError, Sample
from include.monitoring.windows import Due
from include.specs.model import ModelSpec
from include.store.prediction_log import PredictionLog
from include.store.signals import Window

Count = Callable[[Reference, Due], WindowCounts]
"""Counts the rows of a window's judged version against a reference (`include.monitoring.drift.reckoner`)."""


@dataclass(frozen=True)
class Analysis:
    """What a window showed.

    Attributes:
        window: the record for the signal store.
        data: the compared columns, for the report; None when there was no verdict.
        columns: what the drift monitor found in them.
    """

    window: Window
    data: Compared | None = None
    columns: tuple[ColumnDrift, ...] = ()


class Analyst:
    """Analyses the windows of one model.

    Args:
        spec: the model's spec.
        log: the prediction log.
        reference_of: version → its reference; raises `ReferenceMissingError` when there is none any more.
        run: the name of the monitoring run.
        count: counts a window's columns for drift, where that is not done here on a sample of its rows.
    """

    def __init__(
        self,
        spec: ModelSpec,
        log: PredictionLog,
        reference_of: Callable[[str], Reference],
        run: str,
        count: Count | None = None,
    ) -> None:
        self.spec, self.log, self.run, self._count = spec, log, run, count
        self._reference_of = reference_of
        self._monitors: dict[str, list[Monitor]] = {}

    def analyse(self, due: Due) -> Analysis:
        """Return what the rows of ``due.version`` in the window show; too few of them give no verdict."""
        least = self.spec.monitoring.min_rows
        if due.rows < least:
            return Analysis(self._record(due, note=f"too few rows: {due.rows} of the {least} that a verdict needs"))
        try:
            monitors = self._monitors_of(due.version)
        except ReferenceMissingError as error:
            return Analysis(self._record(due, note=f"no reference: {error}"))
        frame = self.log.frame(self.spec.name, due.start, due.end)
        reference = monitors[0].reference
        sample = reference.sample(frame[frame["version"] == due.version])
        results = [self._calculate(monitor, sample, due) for monitor in monitors]
        columns = tuple(ColumnDrift(**column) for column in results[0].evidence["columns"])
        return Analysis(self._record(due, results), compared(reference, sample), columns)

    def _calculate(self, monitor: Monitor, sample: Sample, due: Due) -> MonitorResult:
        if self._count is not None and isinstance(monitor, DriftMonitor):
            return monitor.judge(self._count(monitor.reference, due))
        return monitor.calculate(sample)

    def _monitors_of(self, version: str) -> list[Monitor]:
        if version not in self._monitors:
            reference, settings = self._reference_of(version), self.spec.monitoring
            self._monitors[version] = [
                DriftMonitor(reference, settings),
                PerformanceMonitor(reference, settings, self.spec.metric),
                QualityMonitor(reference, settings),
            ]
        return self._monitors[version]

    def _record(self, due: Due, results: list[MonitorResult] | None = None, note: str = "") -> Window:
        monitors = {result.monitor: result for result in results or []}
        drift = monitors.get("drift")
        evidence: dict[str, Any] = {
            "judged": bool(monitors),
            "note": note or "; ".join(result.message for result in monitors.values()),
            "labelled": due.labelled,
            "versions": dict(due.versions),
            "drifted": drift.evidence["drifted"] if drift else [],
            "monitors": {name: result.as_dict() for name, result in monitors.items()},
        }
        return Window(
            model=self.spec.name,
            start=due.start,
            end=due.end,
            version=due.version,
            rows=due.rows,
            signals=[name for name, result in monitors.items() if result.signal],
            evidence=evidence,
            run=self.run,
            analysed_at=datetime.now(UTC),
        )
