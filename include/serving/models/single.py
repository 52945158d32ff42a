"""The shortest way from a body with one row to its answer, for models that answer in microseconds.

Rows that arrive in the same instant are predicted together and recorded by one write: what a prediction costs is mostly
memory that other work has driven out of the processor's caches, and many rows share it. A lone row never waits.
Whatever is unusual about a request (a shadow, a probe, a row that cannot be read, a trace) makes it go the long way,
`Predictor.answer`, with the same answer, counts and record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from random import getrandbits
from time import perf_counter
from typing import Any

import msgspec

from include.inference.scorer import Row
from include.serving.errors import ServingError, overloaded
from include.serving.log.recorder import Recorder
from include.serving.messages import ENCODER, Identifier, parse_time
from include.serving.models.cache import MemoryCache
from include.serving.models.host import ModelHost
from include.serving.models.predictor import Asked, model_failed
from include.serving.models.routing import ActiveVariant
from include.serving.observability import metrics
from include.serving.security.access import Access
from include.store.log_records import PredictionRecord

LARGEST_BODY = 1 << 16
MOST_TOGETHER = 32
"""Rows answered in one go; then the event loop has a turn."""


class _Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An instance whose features are left as the text that they are."""

    features: msgspec.Raw
    id: Identifier | None = None
    event_time: str | None = None


_DECODE = msgspec.json.Decoder(_Request).decode
_EPOCH = datetime.fromtimestamp(0, UTC)


class _Pending:
    """A row that waits for the end of this instant."""

    __slots__ = ("answer", "asked", "output", "request", "row", "started", "time", "variant")

    def __init__(
        self, asked: Asked, request: _Request, variant: ActiveVariant, row: Row, time: datetime | None, started: float
    ) -> None:
        self.asked, self.request, self.variant, self.row = asked, request, variant, row
        self.time, self.started = time, started
        self.output: dict[str, Any] | None = None
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()


class SingleRows:
    """Answers single rows.

    Args:
        host: the models.
        recorder: keeps what was answered.
        cache: answers that may come again.
        capacity: rows that may wait; beyond them `answer` refuses.
    """

    def __init__(self, host: ModelHost, recorder: Recorder, cache: MemoryCache | None, capacity: int) -> None:
        self._host, self._recorder, self._cache, self._capacity = host, recorder, cache, capacity
        self._waiting: deque[_Pending] = deque()

    def answer(self, asked: Asked, body: bytes) -> asyncio.Future[bytes] | None:
        """Return what becomes the answer as JSON, or None when the request has to go the long way.

        The future fails with a ServingError, 500, when the model does.

        Raises:
            ServingError: 429 the caller asks too much, 503 too many rows wait, 404 no such variant or version.
        """
        started = perf_counter()
        if asked.probe or (asked.seen is not None and asked.seen.traced) or len(body) > LARGEST_BODY:
            return None
        served, variant = self._host.find(asked.model, asked.version)
        if served.shadows and asked.version is None:
            return None
        try:
            request = _DECODE(body)
            if variant is None:
                variant = served.named(asked.variant) if asked.variant is not None else served.choose(request.id)
            if (reader := served.typed_reader(variant)) is None:
                return None
            row = reader.read(request.features)
            time = None if request.event_time is None else parse_time(request.event_time, "event_time", _EPOCH)
        except (ValueError, RecursionError, ServingError):
            return None
        if asked.seen is not None:
            asked.seen.rows = 1
        if asked.caller is not None:
            Access.admit(asked.caller, 1)
        waiting = self._waiting
        if len(waiting) >= self._capacity:
            raise overloaded(f"{len(waiting)} rows wait; try again")
        if not waiting:
            asyncio.get_running_loop().call_soon(self._answer_all)  # after every request of this instant has joined
        pending = _Pending(asked, request, variant, row, time, started)
        waiting.append(pending)
        return pending.answer

    def _answer_all(self) -> None:
        """Predict, count, record and answer what waits."""
        waiting = self._waiting
        chosen = [waiting.popleft() for _ in range(min(len(waiting), MOST_TOGETHER))]
        if waiting:
            asyncio.get_running_loop().call_soon(self._answer_all)
        by_variant: dict[ActiveVariant, list[_Pending]] = {}
        for pending in chosen:
            by_variant.setdefault(pending.variant, []).append(pending)
        for variant, group in by_variant.items():
            self._predict(variant, group)
        done = [pending for pending in chosen if pending.output is not None]
        if done:
            self._finish(done)

    def _predict(self, variant: ActiveVariant, group: list[_Pending]) -> None:
        """Give each of ``group`` its output, or fail its answer."""
        if self._cache is not None:
            for pending in group:
                pending.output = self._cache.find(variant.model, pending.row, variant.statistics.tally)
            group = [pending for pending in group if pending.output is None]
        if not group:
            return
        metrics.count_together(len(group))
        self._ask(variant, group)
        if self._cache is not None:
            for pending in group:
                if pending.output is not None:
                    self._cache.keep(variant.model, pending.row, pending.output)

    def _ask(self, variant: ActiveVariant, group: list[_Pending]) -> None:
        """Let the model predict ``group``, one by one where it fails: a bad row must not disturb the others."""
        model = variant.model
        try:
            if len(group) == 1:
                group[0].output = model.predict_one(group[0].row)
            else:
                for pending, output in zip(group, model.predict([pending.row for pending in group]), strict=True):
                    pending.output = output
        except Exception as error:
            if len(group) > 1:
                for pending in group:
                    self._ask(variant, [pending])
                return
            variant.statistics.failed(1)
            if not group[0].answer.done():
                group[0].answer.set_exception(model_failed(model, error, group[0].asked.request_id))

    def _finish(self, done: list[_Pending]) -> None:
        """Count and record outputs, then let the answers go."""
        now, clock = datetime.now(UTC), perf_counter()
        records, answers = [], []
        for pending in done:
            variant, request, output = pending.variant, pending.request, pending.output or {}
            model = variant.model
            milliseconds = (clock - pending.started) * 1000
            variant.statistics.answered_one(output, milliseconds)
            row_id = request.id or f"{getrandbits(128):032x}"
            text = ENCODER.encode(output)
            records.append(
                PredictionRecord(
                    row_id, model.model, model.version, variant.name, pending.time or now, now, request.features,
                    msgspec.Raw(text), milliseconds,
                )
            )  # fmt: skip
            answers.append(b'{"id":%b,%b%b' % (ENCODER.encode(row_id), variant.answer_head, text[1:]))
        self._recorder.append(records)
        for pending, answer in zip(done, answers, strict=True):
            if not pending.answer.done():  # the caller went away
                pending.answer.set_result(answer)
