"""Explanations on request: beside the answer, in a thread of their own, never in the way of those who ask for none."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from include.inference.explain import load_explainer
from include.inference.explanation import Explainer, Explanation, NotExplainableError
from include.inference.scorer import Row
from include.serving.errors import ServingError, overloaded
from include.serving.messages import Instance
from include.serving.models.host import ModelHost
from include.serving.models.loaded import LoadedModel
from include.serving.models.online import OnlineLookup
from include.serving.models.predictor import Asked, Predictor
from include.specs import FactoryError

T = TypeVar("T")
MOST_ROWS = 1_000
"""Rows of one request that are explained; SHAP values of a forest take milliseconds a row."""
MOST_WAITING = 16
"""Requests that may wait for an explanation; more are told to come back."""


class Explanations:
    """Explains answers. An explainer is loaded when it is first asked for, and leaves memory with its version."""

    def __init__(self, host: ModelHost, predictor: Predictor, online: OnlineLookup) -> None:
        self._host, self._predictor, self._online = host, predictor, online
        self._pool = ThreadPoolExecutor(1, "explain")
        self._explainers: WeakKeyDictionary[LoadedModel, Explainer] = WeakKeyDictionary()
        self._waiting = 0

    async def answer(self, asked: Asked, instances: Sequence[Instance], prefix: str = "") -> list[dict[str, Any]]:
        """Return what `Predictor.answer` does, each answer with its ``explanation``.

        Raises:
            ServingError: as `Predictor.answer`; 413 too many rows, 422 the model cannot be explained, 503 too much
                waits for explanations. Nothing is predicted then.
        """
        served, pinned = self._host.find(asked.model, asked.version)
        if pinned is None and asked.variant is not None:
            pinned = served.named(asked.variant)
        asks = [pinned] if pinned else [variant for variant in served.variants if variant.weight]
        models = {variant.model.version: variant.model for variant in asks or served.variants}
        await self.check(list(models.values()), len(instances))
        if any(instance.features is None for instance in instances):
            instances = await self._online.complete(pinned or served.variants[0], instances, prefix)
        answers = await self._predictor.answer(asked, instances, prefix)
        models |= {
            version: model for version, model in self._host.versions(asked.model).items() if version not in models
        }
        by_version: defaultdict[str, list[int]] = defaultdict(list)
        for index, answer in enumerate(answers):
            by_version[answer["version"]].append(index)
        for version, chosen in by_version.items():
            model = models[version]
            known = served.known
            rows = [model.reader.read(instances[index].features or {}, known) for index in chosen]
            explained = await self.explain(model, rows)
            for place, index in enumerate(chosen):
                answers[index] = {**answers[index], "explanation": shown(explained, place, model)}
        return answers

    async def check(self, models: Sequence[LoadedModel], rows: int) -> None:
        """See that ``rows`` rows of every one of ``models`` can be explained.

        Raises:
            ServingError: see `answer`.
        """
        if rows > MOST_ROWS:
            message = f"{rows} rows to explain in one request; send at most {MOST_ROWS}"
            raise ServingError(413, "too_many_rows", message)
        if self._waiting >= MOST_WAITING:
            raise overloaded(f"{self._waiting} requests wait for explanations; try again")
        for model in models:
            if model not in self._explainers:
                self._explainers[model] = await self._in_thread(_load, model)

    async def explain(self, model: LoadedModel, rows: Sequence[Row]) -> Explanation:
        """Return the explanation of checked rows of one model that `check` has let pass."""
        explainer = self._explainers.get(model)
        if explainer is None:
            explainer = await self._in_thread(_load, model)
        return await self._in_thread(explainer.explain, rows)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _load(model: LoadedModel) -> Explainer:
    try:
        return load_explainer(model.folder, model.manifest)
    except NotExplainableError as error:
        raise ServingError(422, "not_explainable", str(error)) from error
    except FactoryError as error:
        message = f"explanations are not available for this model: {error}"
        raise ServingError(422, "not_explainable", message) from error


def shown(explanation: Explanation, row: int, model: LoadedModel) -> dict[str, Any]:
    """Return one row's explanation as JSON-ready values: by feature, and by class first where there are several.

    ``base_value`` plus the sum of ``contributions`` is the model's output in the space that ``output`` names.
    """
    names = [field.name for field in model.manifest.features]
    base, parts = explanation.base.tolist(), explanation.contributions[row].T.tolist()  # (outputs, features)
    found: dict[str, Any] = {"output": explanation.space}
    classes = model.manifest.classes
    if len(base) > 1 and classes is not None:
        labels = [str(label) for label in classes]
        by_class: Mapping[str, Any] = dict(
            zip(labels, (dict(zip(names, part, strict=True)) for part in parts), strict=True)
        )
        return found | {"base_value": dict(zip(labels, base, strict=True)), "contributions": by_class}
    if classes is not None:
        found["class"] = classes[1]
    return found | {"base_value": base[0], "contributions": dict(zip(names, parts[0], strict=True))}
