"""The model spec: the one YAML file that describes a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from include.specs.base import Name, Spec
from include.specs.data import Data
from include.specs.errors import did_you_mean
from include.specs.operation import Experiment, Monitoring, Release, Retraining
from include.specs.pods import StepResources
from include.specs.training import (
    COSTS,
    METRICS,
    OF_GROUPS,
    Features,
    Gates,
    Packaging,
    Problem,
    Search,
    SearchObjective,
    Task,
)

SPEC_VERSION = 1


def _misfit(objective: SearchObjective, metric: str, task: Task) -> str:
    """Return why a model cannot have ``objective``; nothing where it can."""
    name = objective.metric
    if name == metric:
        wrong = objective.max is not None or objective.group is not None
        return f"'{name}' is the model's metric; give its bounds under gates.thresholds" if wrong else ""
    if name not in COSTS:
        hint = did_you_mean(name, [metric, *COSTS])
        return f"'{name}' is neither the model's metric (problem.metric) nor a cost; {hint}"
    if (name in OF_GROUPS) != (objective.group is not None):
        return (
            f"'{name}' is a difference between groups; name their column: group"
            if name in OF_GROUPS
            else (f"'{name}' has no groups; take group out")
        )
    if name == "demographic_parity_difference" and task != "binary":
        return f"'{name}' needs a binary model; use metric_difference"
    return ""


class ModelSpec(Spec):
    """One model, from its data to its retirement. Everything but name, owner, data and problem has a default."""

    spec_version: Literal[1] = 1
    """Version of this format."""
    name: Name
    description: str = ""
    """What the model is for; shown in the Airflow UI and on the model card."""
    owner: Annotated[str, StringConstraints(min_length=1)]
    """Team or address that answers for the model."""
    tags: tuple[str, ...] = ()
    data: Data
    problem: Problem
    features: Features = Features()
    search: Search = Search()
    packaging: Packaging = Packaging()
    gates: Gates = Gates()
    release: Release = Release()
    experiment: Experiment | None = None
    monitoring: Monitoring = Monitoring()
    retraining: Retraining = Retraining()
    schedule: str | None = None
    """Cron expression of the AutoML pipeline; started by hand or by drift when absent."""
    resources: dict[str, StepResources] = Field(default_factory=dict)
    """Pod resources by step name; 'default' holds for every step not named."""

    @field_validator("schedule")
    @classmethod
    def _five_fields(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("@") and len(value.split()) != 5:
            raise ValueError(f"'{value}' is not a cron expression: write five fields, such as '0 3 * * 1'")
        return value

    @model_validator(mode="after")
    def _metrics_fit_the_task(self) -> ModelSpec:
        known = METRICS[self.problem.type]
        named = [("problem.metric", self.problem.metric)] if self.problem.metric else []
        named += [(f"gates.thresholds.{i}.metric", bound.metric) for i, bound in enumerate(self.gates.thresholds)]
        for field, metric in named:
            if metric not in known:
                hint = did_you_mean(str(metric), known)
                raise ValueError(f"{field}: '{metric}' is no metric of a {self.problem.type} model; {hint}")
        if self.experiment and self.experiment.metric == "positive_rate" and self.problem.type != "binary":
            raise ValueError("experiment.metric: 'positive_rate' needs a binary model; use 'error_rate'")
        return self

    @model_validator(mode="after")
    def _options_fit_the_task(self) -> ModelSpec:
        if self.problem.imbalance != "none" and self.problem.type == "regression":
            raise ValueError("problem.imbalance: a regression has no classes; leave it out")
        if self.features.monotone and self.problem.type == "multiclass":
            raise ValueError("features.monotone: of several classes no probability is the answer; leave it out")
        if self.features.monotone and (loose := {"student", "quantised"} & set(self.packaging.optimise)):
            named = ", ".join(sorted(loose))
            raise ValueError(f"packaging.optimise: {named} would not keep to features.monotone; leave one of them out")
        return self

    @model_validator(mode="after")
    def _objectives_fit_the_model(self) -> ModelSpec:
        for place, one in enumerate(self.search.objectives):
            if reason := _misfit(one, self.metric, self.problem.type):
                raise ValueError(f"search.objectives.{place}: {reason}")
        names = [one.name for one in self.search.objectives]
        if names and (names.count(self.metric) != 1 or len(set(names)) < len(names)):
            raise ValueError(f"search.objectives: name '{self.metric}' once, and each of the others once at most")
        return self

    @property
    def metric(self) -> str:
        """The metric that the search optimises and the gates compare."""
        return self.problem.metric or METRICS[self.problem.type][0]

    def step_resources(self, step: str) -> StepResources:
        """Return what the pod of ``step`` asks for; a search worker, where it is not named, what the search does."""
        names = (step, "search", "default") if step == "search_worker" else (step, "default")
        return next((self.resources[name] for name in names if name in self.resources), StepResources())
