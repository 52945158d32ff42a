"""Optimised forms of a trained model: built, measured on held-out rows, and served where they lose little enough."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from include.evaluation.intervals import Scored, paired_bootstrap
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.inference.choice import Candidate, Choice, Optimised
from include.inference.choose import measured, size_mb
from include.inference.frames import rows_of
from include.inference.optimise import OPTIMISERS
from include.inference.runtimes import find_runtime
from include.inference.scorer import Row
from include.specs import FactoryError, ModelSpec
from include.store.packages import ESTIMATOR, MANIFEST, ModelPackage

Array = np.ndarray[Any, Any]
FASTER = 0.95
"""Share of the time of what would serve otherwise that a form may take: a smaller gain is within the noise."""


@dataclass(frozen=True)
class _Held:
    """Held-out rows, and what the model that serves now answers to them."""

    rows: list[Row]
    target: Array
    outputs: Array
    serving: Candidate
    weights: Array | None


def optimise(folder: Path, package: ModelPackage, choice: Choice, prepared: Prepared, spec: ModelSpec) -> Choice:
    """Build the forms that ``spec.packaging.optimise`` names; let the fastest one serve that loses little enough.

    The loss is taken on the held-out rows, paired with the model as it would serve otherwise. What counts is the bad
    end of its interval, as a share of the metric's value, against ``spec.packaging.max_loss``.

    Args:
        folder: the package; files of the form that serves are added to it.
        package: the same, loaded.
        choice: its runtime as chosen so far.
        prepared: training rows, which a student learns from, and held-out rows.
        spec: the model's spec.

    Returns:
        The choice with every form that was tried, and the runtime that serves.
    """
    if not spec.packaging.optimise:
        return choice
    held = _held(folder, package, choice, prepared)
    train = rows_of(prepared.train, prepared.fields)
    tried: list[Optimised] = []
    with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
        for form in spec.packaging.optimise:
            target = Path(scratch) / form
            target.mkdir()
            tried.append(_tried(form, package, train, target, held, spec))
        faster = [one for one in tried if one.serves]
        best = min(faster, key=lambda one: one.one_ms or np.inf, default=None)
        if best is not None:
            _replace(folder, Path(scratch) / best.form)
    final = [one if one is best else _beaten(one) for one in tried]
    found = choice.model_copy(
        update={"optimised": tuple(final), "runtime": best.runtime if best is not None else choice.runtime}
    )
    found.save(folder)
    return found


def _held(folder: Path, package: ModelPackage, choice: Choice, prepared: Prepared) -> _Held:
    rows = rows_of(prepared.test, prepared.fields)
    scorer = find_runtime(choice.runtime).open(folder, package.manifest)
    serving = measured(scorer, Candidate(runtime=choice.runtime, faithful=True), rows)
    known = next((one.size_mb for one in choice.candidates if one.runtime == choice.runtime), None)
    outputs = _outputs(scorer.score(rows))
    serving = serving.model_copy(update={"size_mb": known})
    return _Held(rows, prepared.test_target, outputs, serving, prepared.test_weights)


def _tried(form: str, package: ModelPackage, train: list[Row], folder: Path, held: _Held, spec: ModelSpec) -> Optimised:
    try:
        runtime = OPTIMISERS[form](package, train, folder, spec.search.seed)
        scorer = find_runtime(runtime).open(folder, package.manifest)
        outputs = _outputs(scorer.score(held.rows))
    except FactoryError as error:
        return Optimised(form=form, reason=f"not built: {error}")
    cost = measured(scorer, Candidate(runtime=runtime, faithful=False), held.rows)
    threshold = package.manifest.threshold
    before = metric(spec.metric).score(held.target, held.outputs, threshold, held.weights)
    better = paired_bootstrap(
        spec.metric,
        held.target,
        Scored(outputs, threshold),
        Scored(held.outputs, threshold),
        spec.gates.confidence,
        seed=spec.search.seed,
        weights=held.weights,
    )
    unit = abs(before) or 1.0
    loss, low, high = -better.value / unit, -better.high / unit, -better.low / unit
    if not high <= spec.packaging.max_loss:  # also where it is not defined
        reason = (
            f"it may lose {high:.2%} of {spec.metric}, more than packaging.max_loss ({spec.packaging.max_loss:.2%})"
        )
    elif (cost.one_ms or np.inf) > FASTER * (held.serving.one_ms or 0.0):
        reason = f"it is hardly faster than {held.serving.runtime}, if at all"
    else:
        reason = ""
    return Optimised(
        form=form,
        runtime=runtime,
        serves=not reason,
        reason=reason,
        metric=spec.metric,
        before=before,
        loss=loss,
        low=low,
        high=high,
        rows=len(held.rows),
        one_ms=cost.one_ms,
        one_ms_before=held.serving.one_ms,
        size_mb=size_mb(folder),
        size_mb_before=held.serving.size_mb,
    )


def _beaten(one: Optimised) -> Optimised:
    """Return a form that might serve as one that does not: a faster one does."""
    return one.model_copy(update={"serves": False, "reason": "another form is faster"}) if one.serves else one


def _replace(folder: Path, new: Path) -> None:
    """Put the files of a form in place of those of the runtime that was chosen before."""
    for entry in folder.iterdir():
        if entry.name not in (MANIFEST, ESTIMATOR):
            entry.unlink()
    shutil.copytree(new, folder, dirs_exist_ok=True)


def _outputs(scores: Array) -> Array:
    """Return scores as metrics take them: see `include.automl.bench.outputs_of`."""
    return scores[:, 1] if scores.ndim == 2 and scores.shape[1] == 2 else scores
