"""The scoring protocols of others: MLflow's ``/invocations``; ``:predict`` and ``:explain`` of KServe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from include.serving.errors import ServingError
from include.serving.messages import ENCODER, decode
from include.serving.models.explanations import Explanations
from include.serving.models.host import ModelHost
from include.serving.models.predictor import Asked, Predictor
from include.serving.scoring import tables
from include.store.packages import Manifest

T = TypeVar("T")
LARGE_BODY = 1 << 17
"""Bodies beyond this are read, and their answers written, in a thread: the event loop has others to serve."""


class Scoring:
    """Answers tables of rows, in the order in which they came."""

    def __init__(self, host: ModelHost, predictor: Predictor, explanations: Explanations, max_rows: int) -> None:
        self._host, self._predictor, self._explanations = host, predictor, explanations
        self._max_rows = max_rows

    async def invocations(self, asked: Asked, body: bytes, is_csv: bool) -> bytes:
        """Answer ``/invocations`` as MLflow's scoring server does: a record a row.

        Raises:
            ServingError: 4xx the table cannot be read; see `Predictor.answer`.
        """
        manifest = self._manifest(asked)

        def read() -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
            if is_csv:
                return tables.csv_rows(body, manifest), None
            found = tables.invocation_of(body)
            return tables.rows_of(found, manifest), found.params

        rows, params = await _aside(body, read)
        answers = await self._answer(asked, rows, params, explain=(params or {}).get("explain") is True)
        return await _aside(body, lambda: ENCODER.encode({"predictions": [tables.record_of(one) for one in answers]}))

    async def instances(self, asked: Asked, body: bytes) -> bytes:
        """Answer ``:predict``: a value a row for a regression, else an object a row.

        Raises:
            ServingError: 4xx the rows cannot be read; see `Predictor.answer`.
        """
        answers = await self._answer(asked, await self._listed(asked, body), None)
        single = self._manifest(asked).classes is None
        predictions = [answer["label"] if single else tables.record_of(answer) for answer in answers]
        return await _aside(body, lambda: ENCODER.encode({"predictions": predictions}))

    async def explain_instances(self, asked: Asked, body: bytes) -> bytes:
        """Answer ``:explain``: a record a row, with its explanation.

        Raises:
            ServingError: see `Explanations.answer`.
        """
        answers = await self._answer(asked, await self._listed(asked, body), None, explain=True)
        return ENCODER.encode({"explanations": [tables.record_of(answer) for answer in answers]})

    async def _listed(self, asked: Asked, body: bytes) -> list[dict[str, Any]]:
        manifest = self._manifest(asked)
        return await _aside(
            body, lambda: tables.listed_rows(decode(tables.INSTANCES, body).instances, manifest, "instances")
        )

    async def _answer(
        self, asked: Asked, rows: Sequence[dict[str, Any]], params: dict[str, Any] | None, explain: bool = False
    ) -> list[dict[str, Any]]:
        if len(rows) > self._max_rows:
            message = f"{len(rows)} rows in one request; send at most {self._max_rows}"
            raise ServingError(413, "too_many_rows", message)
        instances = tables.instances_of(rows, params)
        answerer = self._explanations if explain else self._predictor
        return await answerer.answer(asked, instances, prefix="rows")

    def _manifest(self, asked: Asked) -> Manifest:
        """Return the manifest by which rows without names are read: that of the version that is asked for."""
        served, pinned = self._host.find(asked.model, asked.version)
        if pinned is None and asked.variant is not None:
            pinned = served.named(asked.variant)
        return (pinned or served.variants[0]).model.manifest


async def _aside(body: bytes, work: Callable[[], T]) -> T:
    return work() if len(body) <= LARGE_BODY else await asyncio.to_thread(work)
