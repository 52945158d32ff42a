"""A model version in memory: opened in the runtime that was chosen for it, warmed, and timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

from include.inference.load import load_scorer
from include.inference.scorer import Row, Scorer
from include.serving.models.rows import RowReader
from include.specs import FactoryError
from include.store.packages import Manifest, load_manifest

WARM_ROWS = 32
AT_ONCE_MS, QUEUE_MS = 0.5, 0.05
"""A row that costs at most `AT_ONCE_MS`, and not `QUEUE_MS` more alone than among others, is predicted at once."""


class ModelFailedError(FactoryError):
    """A model answered what cannot be sent: a value that is not finite."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """One version of a model, ready to predict. Never changes; a swap replaces it.

    Attributes:
        folder: its package.
        scorer: computes the scores.
        reader: checks and orders a caller's features.
        load_ms: how long loading and warming took.
        one_ms: measured time of `predict_one`.
        call_ms: measured time of `predict` with one row.
        row_ms: measured time that each further row adds.
    """

    model: str
    version: str
    folder: Path
    manifest: Manifest
    scorer: Scorer
    reader: RowReader
    load_ms: float = 0.0
    one_ms: float = field(default=0.0, compare=False)
    call_ms: float = field(default=0.0, compare=False)
    row_ms: float = field(default=0.0, compare=False)

    @cached_property
    def at_once(self) -> bool:
        """Whether a single row is best predicted at once: queueing it to be predicted with others would cost more."""
        return self.one_ms <= AT_ONCE_MS and self.one_ms - self.row_ms <= QUEUE_MS

    @cached_property
    def fingerprint(self) -> str:
        """What tells this version from all others, those of another factory included."""
        digest = blake2b(self.manifest.model_dump_json().encode(), digest_size=8).hexdigest()
        return f"{self.model}:{self.version}:{self.scorer.name}:{digest}"

    def cost_ms(self, rows: int) -> float:
        """Return the expected time of predicting ``rows`` rows together."""
        return self.call_ms + self.row_ms * (rows - 1)

    def predict(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return one output a row: ``label``, and ``probabilities`` by class for classifiers.

        Raises:
            ModelFailedError: an output is not finite.
        """
        scores = self.scorer.score(rows).tolist()
        return [self._output(one if isinstance(one, list) else [one]) for one in scores]

    def predict_one(self, row: Row) -> dict[str, Any]:
        """Return the output of one row, by the runtime's shortest way.

        Raises:
            ModelFailedError: it is not finite.
        """
        return self._output(self.scorer.score_one(row))

    def _output(self, scores: list[float]) -> dict[str, Any]:
        if not math.isfinite(sum(scores)):
            raise ModelFailedError(f"version {self.version} of '{self.model}' answered a value that is not finite")
        manifest = self.manifest
        classes = manifest.classes
        if classes is None:
            return {"label": scores[0]}
        code = scores[1] >= manifest.threshold if manifest.task == "binary" else scores.index(max(scores))
        return {"label": classes[code], "probabilities": dict(zip(self._class_names, scores, strict=True))}

    @cached_property
    def _class_names(self) -> tuple[str, ...]:
        return tuple(map(str, self.manifest.classes or ()))


def load_model(model: str, version: str, folder: Path, device: str = "cpu") -> LoadedModel:
    """Load the package in ``folder``, warm it with example rows and measure what a prediction costs.

    Raises:
        FactoryError: the package is incomplete, not trusted, of another model, or fails on its own examples.
    """
    started = perf_counter()
    manifest = load_manifest(folder)
    if manifest.model != model:
        raise FactoryError(f"{folder}: is a package of model '{manifest.model}', not of '{model}'; register it again")
    reader = RowReader(manifest.features, manifest.ignored)
    loaded = LoadedModel(model, version, folder, manifest, load_scorer(folder, manifest, device), reader)
    row = reader.read(
        {field.name: field.example if field.required else None for field in manifest.features}, reader.known
    )
    try:
        loaded.predict([row])  # the first call pays for caches and lazy imports
        one_ms = _time(lambda: loaded.predict_one(row))
        call_ms = _time(lambda: loaded.predict([row]))
        many_ms = _time(lambda: loaded.predict([row] * WARM_ROWS))
    except Exception as error:
        raise FactoryError(
            f"{folder}: version {version} of '{model}' fails on a row without anything that may be missing "
            f"({type(error).__name__}: {error}); train it again"
        ) from error
    row_ms = max(many_ms - call_ms, 0.0) / (WARM_ROWS - 1)
    load_ms = (perf_counter() - started) * 1000
    return replace(loaded, load_ms=load_ms, one_ms=one_ms, call_ms=call_ms, row_ms=row_ms)


def _time(predict: Callable[[], object]) -> float:
    """Return the shortest of a few predictions (milliseconds): the others were disturbed."""
    times = []
    for _ in range(3):
        started = perf_counter()
        predict()
        times.append((perf_counter() - started) * 1000)
    return min(times)
