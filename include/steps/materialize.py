"""The step that copies features from the offline into the online store, for an interval that is always explicit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.specs import FactoryError, did_you_mean
from include.specs.data import FeastSource
from include.specs.params import MaterializationParams
from include.steps.context import Outcome, StepContext
from include.store.feature_store import apply_definitions, open_feature_store, service_views

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


class MaterializationError(FactoryError):
    """The interval, the service or its data cannot be materialised."""


def run(context: StepContext) -> Outcome:
    """Apply the feature repository if it changed, and materialise the views of the model's feature service."""
    source = context.spec.data.source
    if not isinstance(source, FeastSource):
        raise MaterializationError(f"model '{context.spec.name}' does not use Feast; set data.source.type to feast")
    start, end = _interval(context.parse(MaterializationParams))
    applied = apply_definitions(context.platform, source.repo)
    store = open_feature_store(context.platform, source.repo)
    views = _views(store, source.service)
    _not_backwards(store, views, end)
    names = [view.name for view in views]
    try:
        store.materialize(start_date=start, end_date=end, feature_views=names)
    except Exception as error:  # Feast passes on whatever its stores raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MaterializationError(
            f"feature views {', '.join(names)} could not be materialised ({reason}); see that their sources and the "
            "online store answer (the shipped files are written by 'python -m include.features.feast_files')"
        ) from error
    interval = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return Outcome(
        f"materialised {', '.join(names)} of '{source.service}' from {interval}",
        {
            "service": source.service,
            "views": names,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "applied": applied,
        },
    )


def _interval(params: MaterializationParams) -> tuple[datetime, datetime]:
    """Return start and end in UTC; Feast is not asked what it did before, as it may forget that on an apply."""
    end = (params.end or datetime.now(UTC)).astimezone(UTC)
    start = (params.start or end - timedelta(days=1)).astimezone(UTC)
    if start >= end:
        raise MaterializationError(
            f"start {start.isoformat()} is not before end {end.isoformat()}; correct the interval"
        )
    return start, end


def _views(store: FeatureStore, service: str) -> list[FeatureView]:
    """Return the stored feature views that ``service`` reads."""
    services = {found.name: found for found in store.list_feature_services()}
    if service not in services:
        raise MaterializationError(f"data.source.service: there is no '{service}'; {did_you_mean(service, services)}")
    return service_views(store, services[service])


def _not_backwards(store: FeatureStore, views: list[FeatureView], end: datetime) -> None:
    """Refuse an interval that ends before an earlier one did: most online stores would go back to older features.

    Of Feast's stores Redis alone keeps the newer record; SQLite and PostgreSQL keep whatever was written last.
    """
    if store.config.online_store.type == "redis":
        return
    for view in views:
        latest = max((until for _, until in view.materialization_intervals), default=None)
        if latest is not None and end < latest.astimezone(UTC):
            raise MaterializationError(
                f"'{view.name}' was materialised up to {latest.isoformat()}; an interval that ends before that would "
                "put older features in their place; choose an end that is not earlier"
            )
