"""The parts of a model spec that training uses: problem, features, search, gates."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from include.specs.base import Duration, Spec

Task = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
PLANNED_TASKS = ("forecast", "clustering", "anomaly")
Family = Literal[
    "linear", "knn", "lightgbm", "xgboost", "extra_trees", "random_forest", "svm", "catboost", "neural_net"
]
FAMILIES: tuple[Family, ...] = (
    "linear",
    "knn",
    "lightgbm",
    "xgboost",
    "extra_trees",
    "random_forest",
    "svm",
    "catboost",
    "neural_net",
)
"""All of them; `include.automl.portfolio` says in which order they are tried."""

METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier", "f1", "accuracy", "balanced_accuracy"),
    "multiclass": ("log_loss", "accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr"),
    "regression": ("rmse", "mae", "r2", "median_ae"),
}
"""Metrics by task; the first one is the default objective of the search."""


class Problem(Spec):
    """What is predicted."""

    type: Task
    target: str
    """Column that the model predicts."""
    positive: str | int | bool | None = None
    """Binary only: the value that counts as positive; the rarer class when absent."""
    metric: str | None = None
    """Metric that the search optimises and the gates compare; the task's default when absent."""
    weight: str | None = None
    """Column that says how much each row counts, in learning, metrics and gates: a number, not negative; never a
    feature. Rows of weight 0 are set aside. Every row counts once when absent."""
    imbalance: Literal["none", "balanced"] = "none"
    """Classifiers: whether models learn from classes as they occur, or as if all were equally frequent; probabilities
    and metrics are those of the classes as they occur in either case."""

    @field_validator("type", mode="before")
    @classmethod
    def _not_yet(cls, value: object) -> object:
        if value in PLANNED_TASKS:
            raise ValueError(f"'{value}' is planned but not built yet; today's types are {', '.join(TASKS)}")
        return value


class Features(Spec):
    """What may be used as a feature, and how; everything else is detected from the data."""

    include: tuple[str, ...] = ()
    """Use only these columns; all but target, id and time when empty."""
    exclude: tuple[str, ...] = ()
    """Never use these columns."""
    numeric: tuple[str, ...] = ()
    """Treat these as numbers whatever detection says."""
    categorical: tuple[str, ...] = ()
    """Treat these as categories whatever detection says."""
    monotone: dict[str, Literal["increasing", "decreasing"]] = Field(default_factory=dict)
    """Columns of numbers with which the answer may only rise, or only fall, whatever the other columns say: the value
    of a regression, or the probability of the positive class. Families that cannot keep to it are not searched."""
    max_onehot: int | None = Field(default=None, ge=2)
    """Categories with more levels than this are target-encoded instead of one-hot encoded; when absent 4 for trees and
    20 for other models."""

    @property
    def signs(self) -> dict[str, int]:
        """``monotone`` in numbers: 1 for increasing, -1 for decreasing."""
        return {column: 1 if way == "increasing" else -1 for column, way in self.monotone.items()}


COSTS = ("latency_ms", "size_mb", "demographic_parity_difference", "metric_difference")
"""What a search may keep small beside its metric."""
OF_GROUPS = ("demographic_parity_difference", "metric_difference")
"""Those that are differences between the groups of a column."""


class SearchObjective(Spec):
    """One of several things that a search optimises at once: the model's metric, or a cost."""

    metric: str
    """The model's metric, or what is to be small: latency_ms (CPU time of a row, in the runtime that would serve),
    size_mb (MiB of what that runtime reads), demographic_parity_difference (of the share of positive answers between
    groups), metric_difference (of the model's metric between groups)."""
    max: float | None = Field(default=None, ge=0)
    """Of a cost: the most that the model may have of it."""
    group: str | None = None
    """Of the two differences: the column of the groups. It need not be a feature."""

    @property
    def name(self) -> str:
        """The metric, and the column whose groups it is about."""
        return f"{self.metric} by {self.group}" if self.group else self.metric


class Search(Spec):
    """How long and over what the search runs."""

    budget: Duration = timedelta(seconds=60)
    """Wall-clock bound of the search; it is kept."""
    families: tuple[Family, ...] = FAMILIES
    """Algorithm families to search over."""
    objectives: tuple[SearchObjective, ...] = ()
    """What is optimised at once: the model's metric, and what is to be small beside it; the metric alone when empty."""
    max_trials: int = Field(default=1000, ge=1)
    """Stop after this many trials, even when time is left."""
    folds: int | None = Field(default=None, ge=2, le=20)
    """Cross-validation folds; as many as suit the rows when absent."""
    ensemble: bool = True
    """Let several trials, and of each the models of its folds, answer together; otherwise the best one alone is fitted
    again on all rows. An ensemble that gates.max_latency_ms or gates.max_size_mb would refuse gives way to it too."""
    parallel: int = Field(default=2, ge=1, le=64)
    """Trials that run at the same time, each in a process of its own; in each worker, where there are workers."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where models are fitted whose family can use a GPU (xgboost); the other ones are fitted on the CPU. A search that
    asks for a GPU and sees none is refused."""
    memory_gb: float | None = Field(default=None, gt=0)
    """Most memory (GiB) of all trials together; the largest one is ended when they need more. Four fifths of what is
    free when absent."""
    workers: int | None = Field(default=None, ge=1, le=64)
    """Tasks (pods, where steps run in pods) that share the search, one deadline and one count of trials; one task does
    all when absent. They meet in FACTORY_OPTUNA_URI, a PostgreSQL that all of them reach."""
    test_share: float = Field(default=0.25, gt=0, lt=0.9)
    """Share of rows held out for the gates: the latest ones when the data has a time."""
    seed: int = 7
    """Seed of every random choice."""

    @property
    def costs(self) -> tuple[SearchObjective, ...]:
        """The objectives that are to be small."""
        return tuple(one for one in self.objectives if one.metric in COSTS)

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns between whose groups differences are to be small."""
        return tuple(dict.fromkeys(one.group for one in self.costs if one.group is not None))


class Packaging(Spec):
    """How the fitted model is made ready to serve."""

    runtime: Literal["auto", "sklearn", "onnx", "xgboost", "lightgbm", "catboost"] = "auto"
    """What serves the model; auto takes the fastest one that answers as the estimator does."""
    tolerance: float = Field(default=1e-4, ge=0)
    """By how much a probability may differ from the estimator's; a regression's value, in standard deviations."""
    max_different_share: float = Field(default=0.001, ge=0, le=1)
    """Share of rows that may differ by more, or have another label: splits in single precision do differ on a few."""
    rows: int = Field(default=2000, ge=20)
    """Real rows on which a runtime is held against the estimator: half of them held out, where there are enough."""
    optimise: tuple[Literal["quantised", "compiled", "student"], ...] = ()
    """Forms to build beside: a graph with weights of 8 bits, a graph optimised beforehand, a few trees that learned
    from the model. The fastest one serves that loses less than max_loss."""
    max_loss: float = Field(default=0.01, ge=0)
    """Share of the metric that an optimised form may lose, at the bad end of its interval on the held-out rows."""


class Threshold(Spec):
    """A bound that a metric must satisfy on the held-out rows."""

    metric: str
    min: float | None = None
    max: float | None = None


class Gates(Spec):
    """What a candidate must satisfy before it is registered."""

    thresholds: tuple[Threshold, ...] = ()
    """Bounds on metrics of the held-out rows; the point estimate decides, the interval is kept as evidence."""
    beat_champion: Literal["better", "not_worse", "off"] = "not_worse"
    """Against the champion on the same rows: the paired interval must lie above 0, or not lie below -tolerance."""
    tolerance: float = Field(default=0.0, ge=0)
    """not_worse: by how much of the metric the candidate may fall behind."""
    max_drift_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of features whose distribution may differ between training and held-out rows."""
    max_latency_ms: float = Field(default=50.0, gt=0)
    """Largest single-row prediction time (p95, in milliseconds)."""
    max_size_mb: float = Field(default=200.0, gt=0)
    """Largest size of the saved model (MiB)."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of every reported interval."""
