"""The signals of monitoring as a metric: those of the last window, of models that are served."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.serving.observability.metrics import REGISTRY
from include.serving.observability.signals import SignalFigures
from include.specs import Platform
from include.store.signals import SignalStore, Window

START = datetime(2026, 3, 2, tzinfo=UTC)


def window(model: str, day: int, *signals: str) -> Window:
    start = START + timedelta(days=day)
    return Window(model, start, start + timedelta(days=1), "1", 100, list(signals), {}, "run", start)


def figure(model: str, signal: str) -> float | None:
    return REGISTRY.get_sample_value("factory_signal", {"model": model, "signal": signal})


def test_the_last_window_counts(platform: Platform) -> None:
    store = SignalStore(platform)
    figures = SignalFigures(platform, lambda: ["watched", "quiet"])
    store.record(window("watched", 0, "drift"))
    store.record(window("elsewhere", 0, "drift"))
    figures.refresh()
    assert figure("watched", "drift") == 1
    assert figure("quiet", "drift") is None
    assert figure("elsewhere", "drift") is None, "it is not served here"

    store.record(window("watched", 1, "degradation", "quality"))
    figures.refresh()
    assert (figure("watched", "drift"), figure("watched", "degradation"), figure("watched", "quality")) == (0, 1, 1)

    store.record(window("watched", 2))
    figures.refresh()
    assert (figure("watched", "degradation"), figure("watched", "quality")) == (0, 0)
