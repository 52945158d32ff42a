"""Look at the windows of the prediction log that are complete: signals, with a report of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.specs.params import MonitoringParams
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url
from include.store.prediction_log import PredictionLog
from include.store.signals import SignalStore, Window

if TYPE_CHECKING:
    from include.monitoring.analysis import Count
    from include.monitoring.sample import Reference
    from include.registry.models import Registry


def run(context: StepContext) -> Outcome:
    """Analyse the windows that are due, record what they show, and leave a report of each."""
    from include.registry.models import Registry

    spec, log, signals = context.spec, PredictionLog(context.platform), SignalStore(context.platform)
    registry = Registry(context.platform)
    champion = registry.get(spec.name, "champion")
    if champion is None:
        return Outcome(f"model '{spec.name}' has no champion to watch; run model_deployment first", rejected=True)
    as_of = context.parse(MonitoringParams).as_of or log.latest_event(spec.name)
    if as_of is None:
        return _nothing(context, "no prediction of this model has been logged yet", None)

    from include.monitoring.windows import due_windows

    recorded = signals.windows(spec.name)
    settings = spec.monitoring
    due = due_windows(
        log, recorded, spec.name, context.run, str(champion.number), settings.window, settings.min_rows, as_of
    )
    if not due:
        since = f"since {recorded[-1].end:%Y-%m-%d %H:%M}" if recorded else f"before {as_of:%Y-%m-%d %H:%M}"
        return _nothing(context, f"no complete window {since}", as_of)

    from include.monitoring.analysis import Analyst
    from include.monitoring.report import HTML, write_report
    from include.monitoring.windows import window_label

    analyst = Analyst(spec, log, _references(context, registry), context.run, _count(context))
    windows, links = [], {}
    for one in due:
        analysis = analyst.analyse(one)
        if analysis.data is not None:
            folder = window_label(one.start, settings.window)
            write_report(context.work / folder, analysis.data, analysis.columns, settings.alpha, settings.min_effect)
            url = artifact_url(context.platform, spec.name, context.run, context.task, f"{folder}/{HTML}")
            links = {"Evidently report": url}
        windows.append(analysis.window)
    for window in windows:
        signals.record(window)
    _write(context, windows, as_of)
    raised = [window for window in windows if window.signals]
    message = f"{len(windows)} windows analysed; " + (
        "; ".join(f"{window.start:%Y-%m-%d} raised {', '.join(window.signals)}" for window in raised) or "all quiet"
    )
    return Outcome(message, {"windows": [_brief(window) for window in windows], "as_of": as_of.isoformat()}, links)


def _references(context: StepContext, registry: Registry) -> Callable[[str], Reference]:
    """Return a function version → what it was trained and measured on."""
    from include.monitoring.sample import Reference, ReferenceMissingError

    def reference(version: str) -> Reference:
        found = registry.get(context.spec.name, int(version)) if version.isdigit() else None
        if found is None:
            raise ReferenceMissingError(f"version {version} of model '{context.spec.name}' is not in the registry")
        return Reference.load(context.store, context.spec.name, found.run)

    return reference


def _count(context: StepContext) -> Count | None:
    """Return what counts a window for drift, where the platform leaves it to Spark."""
    if context.platform.engines.drift == "local":
        return None
    from include.monitoring.spark_counts import SparkCounts

    return context.resources.enter_context(SparkCounts(context.platform, context.spec.name))


def _nothing(context: StepContext, message: str, as_of: datetime | None) -> Outcome:
    _write(context, [], as_of)
    return Outcome(message, {"windows": [], "as_of": as_of.isoformat() if as_of else None})


def _write(context: StepContext, windows: list[Window], as_of: datetime | None) -> None:
    document = {"as_of": as_of, "windows": [asdict(window) for window in windows]}
    text = json.dumps(document, indent=2, default=lambda moment: moment.isoformat())
    (context.work / "windows.json").write_text(text, encoding="utf-8")


def _brief(window: Window) -> dict[str, Any]:
    """Return a window as a small value; windows.json has the whole evidence."""
    return {
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "rows": window.rows,
        "version": window.version,
        "signals": window.signals,
        "evidence": {key: window.evidence[key] for key in ("judged", "note", "labelled", "drifted")},
    }
