"""The data plane: what predict, batch, infer and feedback do with a body; bytes in, bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from include.serving.errors import ServingError, unavailable
from include.serving.log.feedback import feedback_records
from include.serving.log.recorder import Recorder
from include.serving.messages import BATCH, ENCODER, FEEDBACK, INSTANCE, decode
from include.serving.models.explanations import Explanations
from include.serving.models.host import ModelHost
from include.serving.models.predictor import Asked, Predictor
from include.serving.models.single import SingleRows
from include.serving.observability.sight import Seen
from include.serving.open_inference import framing
from include.serving.open_inference.inference import OpenInference
from include.serving.scoring.invocations import Scoring
from include.serving.security.access import OPERATE, Access, Caller

T = TypeVar("T")
LARGE_BODY = 1 << 17
"""Bodies beyond this are decoded, and their answers encoded, in a thread: the event loop has others to serve."""
SETTLE_SECONDS = 1.0
_JSON, _BYTES, _CSV = "application/json", "application/octet-stream", "text/csv"


@dataclass(slots=True)
class Call:
    """One request of the data plane.

    Attributes:
        model: None for the default model.
        headers: by lower-case name.
    """

    model: str | None
    version: str | None
    headers: Mapping[str, str]
    body: bytes
    caller: Caller
    request_id: str = ""
    seen: Seen | None = None


@dataclass(slots=True)
class Reply:
    """An answer that is more than 200 with JSON; a content-type among its headers replaces that of JSON."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class DataPlane:
    """Answers the calls whose speed matters."""

    def __init__(
        self,
        host: ModelHost,
        predictor: Predictor,
        explanations: Explanations,
        inference: OpenInference,
        recorder: Recorder,
        single: SingleRows | None,
        max_rows: int,
    ) -> None:
        self._host, self._predictor, self._recorder, self._single = host, predictor, recorder, single
        self._explanations, self._inference, self._max_rows = explanations, inference, max_rows
        self._scoring = Scoring(host, predictor, explanations, max_rows)

    def at_once(self, call: Call) -> Awaitable[bytes] | None:
        """Answer one instance the short way; None when that is not its way, and `predict` is to be asked."""
        return None if self._single is None else self._single.answer(self._asked(call), call.body)

    async def predict(self, call: Call) -> bytes:
        """Answer one instance."""
        asked = self._asked(call)
        instance = decode(INSTANCE, call.body)
        answerer = self._explanations if instance.explain else self._predictor
        return ENCODER.encode((await answerer.answer(asked, [instance]))[0])

    async def explain(self, call: Call) -> bytes:
        """Answer one instance, and explain the answer."""
        asked = self._asked(call)
        return ENCODER.encode((await self._explanations.answer(asked, [decode(INSTANCE, call.body)]))[0])

    async def batch(self, call: Call) -> bytes:
        """Answer many instances; one that cannot be read fails them all, so that a caller never loses track."""
        asked = self._asked(call)
        batch = await _aside(call.body, lambda: decode(BATCH, call.body))
        self._check_rows(len(batch.instances), "instances")
        explain = batch.explain or any(instance.explain for instance in batch.instances)
        answerer = self._explanations if explain else self._predictor
        answers = await answerer.answer(asked, batch.instances, prefix="instances")
        return await _aside(call.body, lambda: ENCODER.encode({"predictions": answers}))

    async def infer(self, call: Call) -> Reply:
        """Answer a request of the Open Inference Protocol; one variant answers all its rows."""
        json_length = call.headers.get(framing.HEADER)
        asked = self._asked(call, (_JSON, _BYTES) if json_length is not None else (_JSON,))
        inference = await _aside(call.body, lambda: framing.parse(call.body, json_length))
        found = await self._inference.answer(asked, inference)
        body, headers = await _aside(call.body, lambda: framing.render(inference, found.response, found.outputs))
        return Reply(body, headers=headers)

    async def invocations(self, call: Call) -> bytes:
        """Answer MLflow's scoring protocol."""
        asked = self._asked(call, (_JSON, _CSV))
        is_csv = call.headers.get("content-type", _JSON).partition(";")[0].strip().lower() == _CSV
        return await self._scoring.invocations(asked, call.body, is_csv)

    async def instances(self, call: Call) -> bytes:
        """Answer ``:predict`` of KServe's first protocol."""
        return await self._scoring.instances(self._asked(call), call.body)

    async def explain_instances(self, call: Call) -> bytes:
        """Answer ``:explain`` of KServe's first protocol."""
        return await self._scoring.explain_instances(self._asked(call), call.body)

    async def feedback(self, call: Call) -> bytes:
        """Keep labels and rewards; when this answers they are spooled, and committed unless the log is slow or away."""
        self._check_type(call)
        feedback = await _aside(call.body, lambda: decode(FEEDBACK, call.body))
        self._check_rows(len(feedback.labels) + len(feedback.rewards), "labels and rewards")
        model = self._host.default_model() if call.model is None else call.model
        manifests = [version.manifest for version in self._host.require(model).values()]
        records = feedback_records(model, manifests, feedback)
        position = self._recorder.append(records)
        if position is None:
            raise unavailable("the feedback cannot be kept: the disk is full, or too much waits for the database")
        await self._recorder.settle(position, SETTLE_SECONDS)
        return ENCODER.encode({"accepted": len(records)})

    def _asked(self, call: Call, kinds: tuple[str, ...] = (_JSON,)) -> Asked:
        """Return who is asked, by path and headers."""
        self._check_type(call, kinds)
        headers = call.headers
        variant, probe = headers.get("x-factory-variant"), "x-factory-probe" in headers
        if variant is not None and call.version is not None:
            raise ServingError(400, "conflict", "X-Factory-Variant and a version in the path exclude each other")
        if probe:
            Access.require(call.caller, OPERATE)
        model = self._host.default_model() if call.model is None else call.model
        return Asked(model, call.version, variant, probe, call.caller, call.request_id, call.seen)

    @staticmethod
    def _check_type(call: Call, kinds: tuple[str, ...] = (_JSON,)) -> None:
        kind = call.headers.get("content-type", _JSON)
        if kind not in kinds and kind.partition(";")[0].strip().lower() not in kinds:
            raise ServingError(415, "unsupported_media_type", f"send Content-Type: {' or '.join(kinds)}")
        if "content-encoding" in call.headers:
            raise ServingError(415, "unsupported_encoding", "compressed bodies are not supported; send plain JSON")

    def _check_rows(self, rows: int, where: str) -> None:
        if not rows:
            detail = {"where": where, "message": "is empty; send at least one"}
            raise ServingError(422, "invalid_request", "there is nothing to do", [detail])
        if rows > self._max_rows:
            raise ServingError(413, "too_many_rows", f"{rows} rows in one request; send at most {self._max_rows}")


async def _aside(body: bytes, work: Callable[[], T]) -> T:
    """Do ``work`` here for a small body, in a thread for a large one."""
    return work() if len(body) <= LARGE_BODY else await asyncio.to_thread(work)
