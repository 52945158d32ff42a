"""Answers a request of the Open Inference Protocol, for REST and gRPC alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import uuid4

from include.serving.errors import ServingError
from include.serving.models.explanations import Explanations
from include.serving.models.host import ModelHost
from include.serving.models.predictor import Asked, Predictor
from include.serving.open_inference import protocol
from include.serving.open_inference.protocol import Inference
from include.serving.open_inference.tensors import Output

T = TypeVar("T")
MANY_VALUES = 1 << 12
"""Tensors with more values than this are read and written in a thread: the event loop has others to serve."""


@dataclass(frozen=True)
class Inferred:
    """An answer: all of the response but its tensors, and the tensors."""

    inference: Inference
    response: dict[str, Any]
    outputs: list[Output]


class OpenInference:
    """Answers tensors by the model that they ask."""

    def __init__(self, host: ModelHost, predictor: Predictor, explanations: Explanations, max_rows: int) -> None:
        self._host, self._predictor, self._explanations = host, predictor, explanations
        self._max_rows = max_rows

    async def answer(self, asked: Asked, inference: Inference) -> Inferred:
        """Return the answer to all rows of a request, by one variant.

        A request without an id gets one, by which its rows are known in the log.

        Raises:
            ServingError: 4xx with every tensor, output and value that is wrong; see `Predictor.answer`.
        """
        if inference.rows > self._max_rows:
            message = f"{inference.rows} rows in one request; send at most {self._max_rows}"
            raise ServingError(413, "too_many_rows", message)
        served, pinned = self._host.find(asked.model, asked.version)
        key = inference.request.id or None
        variant = pinned or (served.named(asked.variant) if asked.variant else served.choose(key))
        manifest = variant.model.manifest
        protocol.check_outputs(inference, manifest)
        request_id = key or uuid4().hex
        instances = await self._aside(
            inference, lambda: protocol.to_instances(inference, manifest, request_id), len(manifest.features)
        )
        asked = replace(asked, variant=None if pinned else variant.name)
        explain = inference.parameter("explain") is True
        answers = await (self._explanations if explain else self._predictor).answer(asked, instances)
        outputs = await self._aside(inference, lambda: protocol.outputs_of(inference, manifest, answers), 1)
        return Inferred(inference, protocol.response_of(inference, request_id, answers), outputs)

    @staticmethod
    async def _aside(inference: Inference, work: Callable[[], T], columns: int) -> T:
        return work() if inference.rows * columns <= MANY_VALUES else await asyncio.to_thread(work)
