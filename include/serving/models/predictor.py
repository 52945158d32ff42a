"""From instances to answers: choose a variant, read the row, predict, count, record, copy to the shadows."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, TypeVar
from uuid import uuid4

from include.inference.scorer import Row
from include.serving.errors import ServingError
from include.serving.log.recorder import Recorder
from include.serving.messages import Instance, parse_time
from include.serving.models.cache import Cache
from include.serving.models.host import ModelHost
from include.serving.models.loaded import LoadedModel
from include.serving.models.online import OnlineLookup
from include.serving.models.routing import ActiveVariant, Served
from include.serving.models.rows import RowError
from include.serving.observability import metrics
from include.serving.observability.sight import Seen
from include.serving.security.access import Access, Caller
from include.store.log_records import PredictionRecord, as_json

T = TypeVar("T")
log = logging.getLogger(__name__)
MANY_ROWS = 256


@dataclass(slots=True)
class Asked:
    """Who is asked: a model, maybe one version or one variant of it; probes are counted but not recorded.

    Attributes:
        caller: who asks; its limit counts every row.
        request_id: for the log.
        seen: who is told what happens, where anyone looks.
    """

    model: str
    version: str | None = None
    variant: str | None = None
    probe: bool = False
    caller: Caller | None = None
    request_id: str = ""
    seen: Seen | None = None


@dataclass(slots=True)
class Placed:
    """An instance that found its variant."""

    id: str
    event_time: datetime
    features: dict[str, Any]
    variant: ActiveVariant
    row: Row


class Predictor:
    """Answers instances of any model that the host serves.

    Args:
        host: the models.
        recorder: keeps what was answered.
        online: looks features up.
        cache: answers to rows that come again, if any.
        seconds: how long a model may take.
    """

    def __init__(
        self, host: ModelHost, recorder: Recorder, online: OnlineLookup, cache: Cache | None, seconds: float
    ) -> None:
        self._host, self._recorder, self._online, self._cache = host, recorder, online, cache
        self._deadline = seconds

    async def answer(self, asked: Asked, instances: Sequence[Instance], prefix: str = "") -> list[dict[str, Any]]:
        """Return one answer an instance: id, model, version, variant, label and, for classifiers, probabilities.

        When it returns, the answers are in the spool: they survive the death of this process.

        Args:
            asked: who is asked.
            instances: the rows.
            prefix: where the instances are in the body, such as ``instances``, for messages.

        Raises:
            ServingError: 4xx with every problem of every instance, or 503 when too much waits; 500 when a model fails.
        """
        started = perf_counter()
        seen = asked.seen
        if seen is not None:
            seen.rows += len(instances)
        if asked.caller is not None:
            Access.admit(asked.caller, len(instances))
        served, pinned = self._host.find(asked.model, asked.version)
        if pinned is None and asked.variant is not None:
            pinned = served.named(asked.variant)
        if any(instance.features is None for instance in instances):
            instances = await self._online.complete(pinned or served.variants[0], instances, prefix)
            _mark(seen, "lookup")
        placed = await _aside(len(instances), self._place_all, served, pinned, asked, instances, prefix)
        _mark(seen, "read")
        outputs = await self._predict(asked, placed, started)
        if not asked.probe:
            await _aside(len(instances), self._record, asked.model, placed, outputs, started)
            _mark(seen, "record")
        if served.shadows and asked.version is None:
            self._copy(served, placed)
        return [
            {
                "id": item.id,
                "model": asked.model,
                "version": item.variant.model.version,
                "variant": item.variant.name,
                **output,
            }
            for item, output in zip(placed, outputs, strict=True)
        ]

    # Placing

    def _place_all(
        self, served: Served, pinned: ActiveVariant | None, asked: Asked, instances: Sequence[Instance], prefix: str
    ) -> list[Placed]:
        placed, details = [], []
        now = datetime.now(UTC)
        for index, instance in enumerate(instances):
            where = f"{prefix}[{index}]." if prefix else ""
            features = instance.features or {}
            key = instance.id or (repr(sorted(instance.entity.items())) if instance.entity else None)
            try:
                time = (
                    now if instance.event_time is None else parse_time(instance.event_time, f"{where}event_time", now)
                )
                variant, row = self._place(served, pinned, key, features)
            except RowError as error:
                details += [{"where": f"{where}features.{name}", "message": text} for name, text in error.problems]
            except ServingError as error:
                details += error.details
            else:
                placed.append(Placed(instance.id or uuid4().hex, time, features, variant, row))
        if details:
            raise ServingError(422, "invalid_features", f"'{asked.model}' cannot read the request", details)
        return placed

    @staticmethod
    def _place(
        served: Served, pinned: ActiveVariant | None, key: str | None, features: dict[str, Any]
    ) -> tuple[ActiveVariant, Row]:
        """Return the variant of a row, and the row as that variant reads it.

        A row that the chosen variant cannot read but another one can is no fault of the caller, who does not know
        which one answers: it counts as an error of the chosen one, and the other answers.
        """
        variant = pinned or served.choose(key)
        try:
            return variant, variant.model.reader.read(features, served.known)
        except RowError:
            for other in () if pinned else served.variants:
                if other is variant:
                    continue
                try:
                    row = other.model.reader.read(features, served.known)
                except RowError:
                    continue
                variant.statistics.failed(1)
                return other, row
            raise

    # Predicting

    async def _predict(self, asked: Asked, placed: list[Placed], started: float) -> list[dict[str, Any]]:
        """Return the outputs in the order of ``placed``; rows of one variant are predicted together."""
        first = placed[0].variant
        if all(item.variant is first for item in placed):
            return await self._ask(asked, first, [item.row for item in placed], started)
        by_variant: dict[ActiveVariant, list[int]] = {}
        for index, item in enumerate(placed):
            by_variant.setdefault(item.variant, []).append(index)
        answers = await asyncio.gather(
            *(
                self._ask(asked, variant, [placed[i].row for i in chosen], started)
                for variant, chosen in by_variant.items()
            )
        )
        outputs: list[dict[str, Any]] = [{}] * len(placed)
        for chosen, answer in zip(by_variant.values(), answers, strict=True):
            for index, output in zip(chosen, answer, strict=True):
                outputs[index] = output
        return outputs

    async def _ask(self, asked: Asked, variant: ActiveVariant, rows: list[Row], started: float) -> list[dict[str, Any]]:
        """Return the outputs of one variant's rows: those that the cache knows, and the others from the model."""
        if self._cache is None:
            outputs = await self._compute(asked, variant, rows)
        else:
            found = await self._cache.find_all(variant.model, rows, variant.statistics.tally)
            _mark(asked.seen, "cache")
            computed: list[dict[str, Any]] = []
            if absent := [row for row, output in zip(rows, found, strict=True) if output is None]:
                computed = await self._compute(asked, variant, absent)
                await self._cache.keep_all(variant.model, absent, computed)
            fresh = iter(computed)
            outputs = [next(fresh) if output is None else output for output in found]
        variant.statistics.answered(outputs, (perf_counter() - started) * 1000)
        return outputs

    async def _compute(self, asked: Asked, variant: ActiveVariant, rows: list[Row]) -> list[dict[str, Any]]:
        model = variant.model
        try:
            async with asyncio.timeout(self._deadline) as deadline:
                answer = variant.batcher.submit(rows)
                if asked.seen is not None:
                    asked.seen.note(model=asked.model, version=model.version, variant=variant.name)
                    variant.batcher.watch(answer, asked.seen)
                outputs = await answer
            _mark(asked.seen, "predict")
        except ServingError:
            variant.statistics.failed(len(rows))
            raise
        except Exception as error:
            variant.statistics.failed(len(rows))
            if not deadline.expired():
                raise model_failed(model, error, asked.request_id) from error
            metrics.DEADLINES.labels(model.model, model.version, variant.name).inc()
            message = f"version {model.version} of '{model.model}' did not answer within {self._deadline:g} s"
            raise ServingError(504, "model_too_slow", message, headers={"retry-after": "1"}) from error
        return outputs

    # After the answer is known

    def _record(self, model: str, placed: list[Placed], outputs: list[dict[str, Any]], started: float) -> None:
        now, latency_ms = datetime.now(UTC), (perf_counter() - started) * 1000
        self._recorder.append(
            [
                PredictionRecord(
                    item.id, model, item.variant.model.version, item.variant.name, item.event_time, now,
                    as_json(item.features), as_json(output), latency_ms,
                )
                for item, output in zip(placed, outputs, strict=True)
            ]
        )  # fmt: skip

    @staticmethod
    def _copy(served: Served, placed: list[Placed]) -> None:
        """Send copies to the shadows; what they answer is counted and thrown away, and a busy shadow misses some."""
        for shadow in served.shadows:
            rows = []
            for item in placed:
                try:
                    rows.append(shadow.model.reader.read(item.features, served.known))
                except RowError:
                    shadow.statistics.failed(1)
            if rows:
                _submit_copy(served.route.model, shadow, rows)


def _submit_copy(model: str, shadow: ActiveVariant, rows: list[Row]) -> None:
    started = perf_counter()
    try:
        future = shadow.batcher.submit(rows)
    except ServingError:
        metrics.SHADOWS_DROPPED.labels(model).inc(len(rows))
        return

    def done(answer: asyncio.Future[list[dict[str, Any]]]) -> None:
        if answer.exception():
            shadow.statistics.failed(len(rows))
        else:
            shadow.statistics.answered(answer.result(), (perf_counter() - started) * 1000)

    future.add_done_callback(done)


async def _aside(rows: int, work: Callable[..., T], *arguments: Any) -> T:
    """Do ``work`` here for a few rows, in a thread for many: the event loop has others to serve."""
    return work(*arguments) if rows <= MANY_ROWS else await asyncio.to_thread(work, *arguments)


def _mark(seen: Seen | None, phase: str) -> None:
    if seen is not None:
        seen.mark(phase)


def model_failed(model: LoadedModel, error: Exception, request_id: str) -> ServingError:
    """Log that a model failed, and return what its caller is told."""
    what = f"version {model.version} of '{model.model}' failed"
    log_failure(what, error, request_id, model=model.model, version=model.version)
    return ServingError(500, "model_failed", f"{what} on this request")


def log_failure(what: str, error: BaseException, request_id: str = "", **belongs: str) -> None:
    """Log where an error came from, but not its text: that may hold a caller's values."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error(
        "%s with %s:\n%s", what, type(error).__name__, frames, extra={"request_id": request_id or None, **belongs}
    )
