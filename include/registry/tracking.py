"""Tracking in MLflow: one run for each training run, one child for each trial, data sets, artifacts and links."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar
from urllib.parse import quote

from include.registry.dataset import dataset_input
from include.registry.server import MlflowServer, NotInMlflowError
from include.specs import Platform

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")
RUN_TAG, CHILD_TAG = "factory.run", "factory.child"
MAX_METRICS, MAX_PARAMS, MAX_TAGS = 800, 100, 100
"""What MLflow takes in one request: 1000 entries in all, 100 of them params and 100 tags."""
MAX_PARAM_LENGTH, MAX_TAG_LENGTH = 6000, 8000
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class ChildRun:
    """A nested run, such as one trial of a search.

    Attributes:
        key: unique among the children of a run, so that logging twice adds nothing; a trial's number does.
        name: what MLflow shows.
    """

    key: str
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: Status = "FINISHED"
    started: datetime | None = None
    ended: datetime | None = None


class Described(Protocol):
    """What tracking must know of a model; a model spec has it."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def owner(self) -> str:
        """Who answers for it."""

    @property
    def description(self) -> str:
        """What it is for."""


class Tracking:
    """The MLflow runs of one model. Its experiment bears the model's name.

    Every method may be called again with the same arguments and changes nothing then, and bears with a server that is
    away for ``platform.service_retry_seconds``; after that it raises TemporarilyUnavailableError.
    """

    def __init__(self, platform: Platform, spec: Described) -> None:
        self._server = MlflowServer(platform)
        self._spec = spec

    @cached_property
    def experiment(self) -> str:
        """The id of the model's experiment, which is made when it is not there and restored when it was deleted."""
        return self._server.ask(self._find_or_create_experiment)

    def ensure_run(self, run_name: str, pipeline: str) -> str:
        """Return the id of the MLflow run of run folder ``run_name``; the first call makes it."""
        experiment = self.experiment

        def find_or_create(client: MlflowClient) -> str:
            if found := _search(client, experiment, f"tags.`{RUN_TAG}` = '{run_name}'"):
                return str(found[0].info.run_id)
            tags = {
                RUN_TAG: run_name,
                "factory.model": self._spec.name,
                "factory.pipeline": pipeline,
                "factory.owner": self._spec.owner,
                "mlflow.user": "model-factory",
                "mlflow.source.name": pipeline,
                "mlflow.note.content": self._spec.description,
            }
            return str(client.create_run(experiment, run_name=run_name, tags=tags).info.run_id)

        return self._server.ask(find_or_create)

    def children(self, parent: str, rows: Sequence[ChildRun]) -> list[str]:
        """Log ``rows`` as nested runs of ``parent`` and return their ids in order."""
        experiment = self.experiment
        same_parent = f"tags.`mlflow.parentRunId` = '{parent}'"
        known = {
            run.data.tags[CHILD_TAG]: run
            for run in self._server.ask(lambda client: _search(client, experiment, same_parent))
            if CHILD_TAG in run.data.tags
        }
        ids = []
        for row in rows:
            run = known.get(row.key)
            if run is None:
                run = self._server.ask(partial(_create_child, experiment=experiment, parent=parent, row=row))
            run_id = str(run.info.run_id)
            if run.info.status == "RUNNING":
                params = {key: _text(value)[:MAX_PARAM_LENGTH] for key, value in _flat(row.params)}
                self._log(run_id, params, row.metrics, {})
                self.finish(run_id, row.status, row.ended)
            ids.append(run_id)
        return ids

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, Any] | None = None,
        step: int = 0,
    ) -> None:
        """Log into a run, in as few requests as MLflow's limits allow.

        Nested params are flattened with dots; metrics that are None are left out. MLflow never changes a param: where
        a step that runs again found another value, the first stays and the other becomes the tag ``retried.<name>``.
        """
        flat = {key: _text(value)[:MAX_PARAM_LENGTH] for key, value in _flat(params or {})}
        known = self._server.ask(lambda client: client.get_run(run_id)).data.params if flat else {}
        new = {key: value for key, value in flat.items() if key not in known}
        retried = {f"retried.{key}": value for key, value in flat.items() if known.get(key, value) != value}
        self._log(run_id, new, metrics or {}, {**(tags or {}), **retried}, step)

    def _log(
        self,
        run_id: str,
        params: Mapping[str, str],
        metrics: Mapping[str, float | None],
        tags: Mapping[str, Any],
        step: int = 0,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        points = [Metric(key, float(value), now, step) for key, value in metrics.items() if value is not None]
        batches: Iterable[tuple[Any, Any, Any]] = zip_longest(
            _chunks(points, MAX_METRICS),
            _chunks([Param(key, value) for key, value in params.items()], MAX_PARAMS),
            _chunks([RunTag(key, _text(value)[:MAX_TAG_LENGTH]) for key, value in tags.items()], MAX_TAGS),
            fillvalue=[],
        )
        for batch in batches:
            self._server.ask(partial(_log_batch, run_id=run_id, batch=batch))

    def artifacts(self, run_id: str, source: Path, folder: str = "") -> None:
        """Upload the file ``source``, or what is in the folder ``source``, into ``folder`` of the run's artifacts."""
        target = folder or None
        if source.is_dir():
            self._server.ask(lambda client: client.log_artifacts(run_id, str(source), target))
        else:
            self._server.ask(lambda client: client.log_artifact(run_id, str(source), target))

    def dataset(
        self,
        run_id: str,
        *,
        name: str,
        digest: str,
        source: str,
        columns: Mapping[str, str],
        rows: int,
        context: str = "training",
    ) -> None:
        """Name a data set as an input of the run.

        Args:
            run_id: the MLflow run.
            name: what MLflow shows, such as ``churn snapshot``.
            digest: the snapshot's digest; MLflow keeps its first 36 characters.
            source: where the bytes lie (URI of the snapshot).
            columns: column name → type.
            rows: number of rows.
            context: what it was used for.
        """
        used = dataset_input(name=name, digest=digest, source=source, columns=columns, rows=rows, context=context)
        self._server.ask(lambda client: client.log_inputs(run_id, datasets=[used]))

    @contextmanager
    def system_metrics(self, run_id: str, interval: float = 5.0) -> Iterator[None]:
        """Log CPU, memory, disk, network and GPU use into the run, every ``interval`` seconds, while the block runs."""
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run_id, sampling_interval=interval, tracking_uri=self._server.uri)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    def finish(self, run_id: str, status: Status = "FINISHED", ended: datetime | None = None) -> None:
        """End the run; one that ended before takes the new status."""
        self._server.ask(lambda client: client.set_terminated(run_id, status, _millis(ended)))

    def run_url(self, run_id: str) -> str:
        """Return the URL of the run's page."""
        return self._server.page(f"experiments/{self.experiment}/runs/{run_id}")

    def artifact_url(self, run_id: str, path: str) -> str:
        """Return the URL of the page that shows an artifact of the run."""
        return self._server.page(f"experiments/{self.experiment}/runs/{run_id}/artifacts/{quote(path)}")

    def _find_or_create_experiment(self, client: MlflowClient) -> str:
        from mlflow.exceptions import MlflowException

        name = self._spec.name
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)  # another process was faster
        if found is None:
            raise NotInMlflowError(f"experiment '{name}' can neither be made nor found; look into MLflow's log")
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _search(client: MlflowClient, experiment: str, query: str) -> list[Run]:
    """Return every run that ``query`` finds, oldest first."""
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], query, order_by=["start_time ASC"], max_results=1000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def _create_child(client: MlflowClient, experiment: str, parent: str, row: ChildRun) -> Run:
    tags = {**row.tags, CHILD_TAG: row.key, "mlflow.parentRunId": parent, "mlflow.user": "model-factory"}
    return client.create_run(experiment, start_time=_millis(row.started), tags=tags, run_name=row.name)


def _log_batch(client: MlflowClient, run_id: str, batch: tuple[Any, Any, Any]) -> None:
    metrics, params, tags = batch
    client.log_batch(run_id, metrics=metrics, params=params, tags=tags)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _millis(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment is not None else None


def _chunks(entries: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(entries)
    while chunk := list(islice(iterator, size)):
        yield chunk
