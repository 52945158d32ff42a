"""The parts of a model spec that operation uses: release, experiment, monitoring, retraining."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from include.specs.base import Duration, Spec


class Experiment(Spec):
    """A comparison of the versions of a release while it is rolled out, by a test that survives peeking."""

    metric: Literal["error_rate", "positive_rate"] = "error_rate"
    """What is compared: the share of failed requests, or of positive answers (binary models)."""
    max_difference: float = Field(default=0.05, gt=0, lt=1)
    """The challenger is rolled back once the difference surely exceeds this."""
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Probability of a false alarm over the whole release, however often one looks."""


class Release(Spec):
    """How a challenger takes its place."""

    policy: Literal["canary", "blue_green"] = "canary"
    """canary: in steps; blue_green: all at once, after the health checks."""
    steps: tuple[int, ...] = (10, 50, 100)
    """canary: percent of the traffic at each step, rising, ending with 100."""
    bake: Duration = timedelta(seconds=5)
    """How long a step is watched before the next one."""
    max_error_rate: float = Field(default=0.01, ge=0, le=1)
    """Share of failed requests of the challenger above which the release is rolled back."""
    max_latency_ms: float = Field(default=250.0, gt=0)
    """p95 of the challenger's latency (milliseconds) above which the release is rolled back."""
    min_requests: int = Field(default=20, ge=0)
    """Requests that the challenger must have answered in a step before it may pass; probes count."""
    automatic: bool = True
    """False: a person approves in the Airflow UI before the challenger takes traffic."""

    @model_validator(mode="after")
    def _rising_to_100(self) -> Release:
        steps = self.steps
        if not steps or steps[-1] != 100 or list(steps) != sorted(set(steps)) or steps[0] <= 0:
            raise ValueError(f"'steps' must rise and end with 100, such as [10, 50, 100]; got {list(steps)}")
        return self


class Monitoring(Spec):
    """How what was served is watched."""

    window: Duration = timedelta(days=7)
    """Length of a monitoring window, by event time; windows are aligned to Monday 00:00 UTC."""
    schedule: str | None = None
    """Cron expression of the monitoring pipeline; started by hand when absent."""
    min_rows: int = Field(default=100, ge=20)
    """A window with fewer predictions gives no verdict."""
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    """Probability that an undrifted window raises a drift signal: the false-alarm rate over all features together."""
    min_effect: float = Field(default=0.1, ge=0)
    """A feature counts as drifted only if its population stability index also reaches this."""
    degradation: float = Field(default=0.05, ge=0)
    """How much worse than at training time the metric may become before a degradation signal (absolute; relative
    for regression errors)."""


class Retraining(Spec):
    """When monitoring starts training again, and on what."""

    enabled: bool = True
    k: int = Field(default=2, ge=1)
    """Retrain when k of the last n windows raised a signal."""
    n: int = Field(default=3, ge=1)
    strategy: Literal["search", "refit"] = "search"
    """search: a new search; refit: the champion's configuration on new data."""
    data: Literal["source", "log", "both"] = "both"
    """Rows to train on: the source, the labelled predictions of the log, or both."""
    window: Duration | None = None
    """Use only the most recent rows by event time; the spec's data window when absent."""
    cooldown: Duration = timedelta(0)
    """Least event time between two retrainings."""
    retire_after: int = Field(default=3, ge=1)
    """After this many failed retrainings in a row the model is flagged for retirement."""

    @model_validator(mode="after")
    def _k_of_n(self) -> Retraining:
        if self.k > self.n:
            raise ValueError(f"'k' ({self.k}) cannot exceed 'n' ({self.n})")
        return self
