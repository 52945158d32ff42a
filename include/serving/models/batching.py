"""Adaptive micro-batching: rows that arrive while the model is busy, or in the same instant, are predicted together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from include.inference.scorer import Row
from include.serving.errors import overloaded
from include.serving.models.loaded import LoadedModel
from include.serving.observability import metrics
from include.serving.observability.sight import Seen

Outputs = list[dict[str, Any]]
MAX_ROWS = 64
"""Rows predicted together; a request with more goes to a thread of its own and delays nobody."""
INLINE_MS = 5.0
"""A batch that takes less than this runs on the event loop: a thread would cost more than it hides."""


class Batcher:
    """The queue in front of one variant. A lone row never waits for others: there is no timer.

    Args:
        model: who predicts.
        pool: threads for what would hold the event loop for too long.
        capacity: rows that may wait; beyond them `submit` refuses.
        inline: whether short batches may run on the event loop; never for a shadow.
    """

    def __init__(self, model: LoadedModel, pool: Executor, capacity: int, inline: bool = True) -> None:
        self._model, self._pool, self._capacity, self._inline = model, pool, capacity, inline
        self._queue: deque[tuple[Sequence[Row], asyncio.Future[Outputs]]] = deque()
        self._waiting = 0
        self._busy = False
        self._watched: dict[asyncio.Future[Outputs], Seen] = {}

    @property
    def waiting(self) -> int:
        """Rows that wait or are being predicted."""
        return self._waiting

    def submit(self, rows: Sequence[Row]) -> asyncio.Future[Outputs]:
        """Return a future of one output a row, or of the exception that the model raised.

        Raises:
            ServingError: 503, too many rows wait already.
        """
        if self._waiting and self._waiting + len(rows) > self._capacity:
            raise overloaded(f"{self._waiting} rows wait for version {self._model.version}; try again")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outputs] = loop.create_future()
        self._waiting += len(rows)
        if len(rows) > MAX_ROWS:
            self._in_thread([(rows, future)])
            return future
        self._queue.append((rows, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._next)  # after every request of this instant has joined
        return future

    def watch(self, answer: asyncio.Future[Outputs], seen: Seen) -> None:
        """Tell ``seen`` when the rows of ``answer``, just submitted, leave the queue, and with how many others."""
        self._watched[answer] = seen

    def _tell(self, batch: list[tuple[Sequence[Row], asyncio.Future[Outputs]]], count: int) -> None:
        for _, future in batch:
            if seen := self._watched.pop(future, None):
                seen.mark("queue")
                seen.batch_rows = count

    def _next(self) -> None:
        if not self._queue:
            self._busy = False
            return
        batch, count = [self._queue.popleft()], 0
        count = len(batch[0][0])
        while self._queue and count + len(self._queue[0][0]) <= MAX_ROWS:
            batch.append(self._queue.popleft())
            count += len(batch[-1][0])
        metrics.BATCH_ROWS.observe(count)
        if self._watched:
            self._tell(batch, count)
        if self._inline and self._model.cost_ms(count) <= INLINE_MS:
            self._settle(batch, self._predict(batch))
            asyncio.get_running_loop().call_soon(self._next)
        else:
            self._in_thread(batch, then_next=True)

    def _in_thread(self, batch: list[tuple[Sequence[Row], asyncio.Future[Outputs]]], then_next: bool = False) -> None:
        def done(job: asyncio.Future[list[Outputs | Exception]]) -> None:
            self._settle(batch, job.result())
            if then_next:
                self._next()

        job = asyncio.get_running_loop().run_in_executor(self._pool, self._predict, batch)
        job.add_done_callback(done)

    def _predict(self, batch: list[tuple[Sequence[Row], asyncio.Future[Outputs]]]) -> list[Outputs | Exception]:
        """Predict a batch whole; when that fails, one by one, so that a bad row fails its own request alone."""
        if len(batch) == 1:
            try:
                return [self._model.predict(batch[0][0])]
            except Exception as error:
                return [error]
        try:
            outputs = self._model.predict([row for rows, _ in batch for row in rows])
        except Exception:
            return [self._predict([item])[0] for item in batch]
        results: list[Outputs | Exception] = []
        start = 0
        for rows, _ in batch:
            results.append(outputs[start : start + len(rows)])
            start += len(rows)
        return results

    def _settle(
        self, batch: list[tuple[Sequence[Row], asyncio.Future[Outputs]]], results: list[Outputs | Exception]
    ) -> None:
        for (rows, future), result in zip(batch, results, strict=True):
            self._waiting -= len(rows)
            if future.done():  # the caller went away
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
