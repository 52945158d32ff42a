"""The final model, put together from what trials left in the scratch folder of their search."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from include.automl.bench import Configuration, PlanKey
from include.automl.ensemble.calibration import Calibration
from include.automl.families import find_family
from include.automl.folds import Array
from include.store.packages import save_estimator


@dataclass(frozen=True)
class Part:
    """One fitted model of the final one.

    Attributes:
        number: its trial.
        fold: the fold whose other rows it was fitted on; None where it was fitted on all rows.
        configuration: what was fitted.
        weight: of its answer; the parts' sum to 1 where they answer by their mean.
        factors: what undoes the weights of classes that it was fitted with, one number a class, NaN for one that it
            does not know; None where it had none.
    """

    number: int
    fold: int | None
    configuration: Configuration
    weight: float
    factors: tuple[float, ...] | None = None


@dataclass(frozen=True)
class FittedPart:
    """A fitted estimator, and the codes of the classes that it knows where it does not know all."""

    estimator: Any
    present: Array | None


def oof_file(scratch: Path, number: int, fold: int) -> Path:
    """Return where a trial's predictions for the held rows of a fold are kept."""
    return scratch / f"{number}.{fold}.npz"


def model_file(scratch: Path, number: int, fold: int | None) -> Path:
    """Return where a trial's model of a fold is kept, or the one that was fitted on all rows."""
    return scratch / f"{number}.{_name(fold)}.model"


def plan_file(scratch: Path, fold: int | None, key: PlanKey) -> Path:
    """Return where the feature plan of a fold, or of all rows, is kept: all trials that see the rows alike share it."""
    view, *columns = key
    made = f".{sha256(repr(columns).encode()).hexdigest()[:10]}" if any(columns) else ""
    return scratch / f"plan.{_name(fold)}.{view}{made}"


def _name(fold: int | None) -> str:
    return "all" if fold is None else str(fold)


def files_of(scratch: Path, numbers: Sequence[int]) -> list[Path]:
    """Return what is kept of some trials, and the feature plans that they share."""
    names = [f"{number}." for number in numbers] + ["plan."]
    return [file for file in scratch.iterdir() if file.name.startswith(tuple(names)) and file.suffix != ".tmp"]


def store(file: Path, thing: Any) -> None:
    """Write what only this search will read to ``file``, whole or not at all."""
    import joblib

    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    joblib.dump(thing, temporary)
    temporary.replace(file)


def assemble(
    parts: Sequence[Part],
    scratch: Path,
    classes: int | None,
    calibration: Calibration,
    file: Path,
    biases: Sequence[float] = (),
) -> None:
    """Make one sklearn Pipeline of the parts and save it to ``file``, without pickle and ready to serve.

    A single part that needs no calibration stays what it is: a feature plan and a model.

    Args:
        parts: what it is made of.
        scratch: folder that the search keeps its models in.
        classes: number of classes, or None for a regression.
        calibration: what is done to the probabilities.
        file: where the pipeline goes.
        biases: those of a stack, as of `include.automl.ensemble.combination.Stack`; none where the parts answer by
            their weighted mean.
    """
    from sklearn.pipeline import Pipeline

    fitted = [_load(model_file(scratch, part.number, part.fold)) for part in parts]
    keys = [(part.fold, part.configuration.plan) for part in parts]
    plans = {key: _load(plan_file(scratch, *key)) for key in dict.fromkeys(keys)}
    models = [
        find_family(part.configuration.family).for_serving(one.estimator)
        for part, one in zip(parts, fitted, strict=True)
    ]
    plain = calibration == Calibration() and not biases and fitted[0].present is None and parts[0].factors is None
    if len(parts) == 1 and plain:
        pipeline = Pipeline([("features", plans[keys[0]]), ("model", models[0])])
    else:
        pipeline = _blended(parts, fitted, models, keys, plans, classes, calibration, biases)
    save_estimator(file, pipeline)


def _blended(
    parts: Sequence[Part],
    fitted: Sequence[FittedPart],
    models: Sequence[Any],
    keys: Sequence[Any],
    plans: dict[Any, Any],
    classes: int | None,
    calibration: Calibration,
    biases: Sequence[float],
) -> Any:
    from sklearn.pipeline import Pipeline

    from include.inference.ensemble import BlendClassifier, BlendRegressor, Plans
    from include.inference.stack import PoolClassifier, StackRegressor

    slices, start = {}, 0
    for key, plan in plans.items():
        width = len(plan.get_feature_names_out())
        slices[key] = (start, start + width)
        start += width
    taken, weights = [slices[key] for key in keys], [part.weight for part in parts]
    if classes is None:
        blend: Any = (
            StackRegressor(list(models), taken, weights, start, biases[0])
            if biases
            else BlendRegressor(list(models), taken, weights, start)
        )
    else:
        present = [None if one.present is None else one.present.tolist() for one in fitted]
        knots, temperature = list(calibration.knots), calibration.temperature
        factors = [
            part.factors and [part.factors[code] for code in (range(classes) if known is None else known)]
            for part, known in zip(parts, present, strict=True)
        ]
        rest = (classes, present, temperature, knots, factors)
        blend = (
            PoolClassifier(list(models), taken, weights, start, list(biases), *rest)
            if biases
            else BlendClassifier(list(models), taken, weights, start, *rest)
        )
    return Pipeline([("features", Plans(list(plans.values()))), ("model", blend)])


def _load(file: Path) -> Any:
    import joblib

    return joblib.load(file)  # of this search's own making
