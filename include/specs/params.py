"""What a person or a schedule may say when a pipeline starts; the trigger form in the Airflow UI is made of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from include.specs.base import Spec


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_aware)]
"""A point in time; UTC where no zone is given."""


class TrainingParams(Spec):
    """Parameters of the pipelines that train: automl_pipeline, model_training, model_retraining."""

    budget: float | None = Field(default=None, gt=0, le=86400)
    """Seconds for the search; the spec's budget when empty."""
    data_start: Moment | None = None
    """Use rows from this event time on; the spec's window when empty."""
    data_end: Moment | None = None
    """Use rows before this event time; all up to the latest when empty."""
    strategy: Literal["search", "refit"] | None = None
    """search: look for the best configuration; refit: the champion's configuration on new data. The pipeline's own
    choice when empty."""
    force: bool = False
    """Train even though data, spec and code are those of the newest version."""


class DeploymentParams(Spec):
    """Parameters of model_deployment."""

    version: int | None = Field(default=None, ge=1)
    """Version to release; the challenger when empty."""


class MonitoringParams(Spec):
    """Parameters of model_monitoring."""

    as_of: Moment | None = None
    """Treat this as now: windows that ended before it are complete. The latest logged event time when empty."""


class BatchParams(Spec):
    """Parameters of the step predict_batch."""

    version: int | None = Field(default=None, ge=1)
    """Version to ask; the champion when empty."""
    path: str | None = None
    """CSV or Parquet file, or a URI, whose rows are answered; the spec's own source when empty."""


class MaterializationParams(Spec):
    """Parameters of feature_materialization."""

    start: Moment | None = None
    """Beginning of the materialised interval; one day before the end when empty."""
    end: Moment | None = None
    """End of the materialised interval; the run's logical date, or now, when empty."""
