"""The Evidently report of a training run: data quality, drift from training to held-out rows, quality of the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from include.evaluation.intervals import Scored
from include.evaluation.metrics import Array, labels
from include.store.packages import Field

if TYPE_CHECKING:
    import pandas as pd

HTML, JSON = "evidently.html", "evidently.json"
MOST_ROWS = 10_000
LEAST_SHARE = 0.01
"""Share of the rows below which the levels of a category are taken together."""
SMALL = 1000
"""Reference rows up to which Evidently's default is a test with a p-value; above, a distance."""
FALSE_ALARMS = 0.05
"""Small samples: probability that any column at all is called drifted although none is."""
_TARGET, _PREDICTION, _OTHER = "__target__", "__prediction__", "(other)"


@dataclass(frozen=True)
class Side:
    """Rows and what the model answered for them: out-of-fold for training rows.

    Attributes:
        frame: feature columns, shape (rows, features).
        target: codes or values, shape (rows,).
        scored: the model's answers.
    """

    frame: pd.DataFrame
    target: Array
    scored: Scored

    def sampled(self, seed: int) -> Side:
        """Return at most `MOST_ROWS` of the rows, drawn at random, in their order."""
        if len(self.frame) <= MOST_ROWS:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self.frame), MOST_ROWS, replace=False))
        scored = Scored(self.scored.outputs[rows], self.scored.threshold)
        return Side(self.frame.iloc[rows], self.target[rows], scored)


def write_report(
    folder: Path,
    reference: Side,
    current: Side,
    fields: tuple[Field, ...],
    classes: tuple[Any, ...] | None,
    drift_share: float,
    seed: int = 0,
) -> dict[str, Any]:
    """Write ``evidently.html`` and ``evidently.json`` into ``folder`` and return what the gates read.

    Drift is tested as Evidently does by default: with up to 1000 reference rows by a test, at 5 % over all columns
    together; with more by a distance of at least 0.1. Dates are left out: in a split by time they differ by design.

    Args:
        folder: where to write.
        reference: training rows.
        current: held-out rows.
        fields: the feature columns.
        classes: labels of a classifier; None for regression.
        drift_share: share of drifted columns from which the report calls the data set drifted.
        seed: of the draw when there are many rows.

    Returns:
        ``drift_share``, ``drifted`` (columns), ``rows_train``, ``rows_test``, ``quality``.
    """
    from evidently import Report
    from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset, RegressionPreset

    rows_train, rows_test = len(reference.frame), len(current.frame)
    quality = _quality(reference.frame, current.frame)
    reference, current = reference.sampled(seed), current.sampled(seed)
    columns = _columns(reference.frame, current.frame, fields)
    bound = FALSE_ALARMS / max(len(columns), 1) if len(reference.frame) <= SMALL else None
    metrics: list[Any] = [
        DataDriftPreset(columns=list(columns), drift_share=drift_share, threshold=bound),
        DataSummaryPreset(columns=list(columns)),
    ]
    if classes is None:
        metrics.append(RegressionPreset())
    elif len(np.unique(reference.target)) > 1 and len(np.unique(current.target)) > 1:
        threshold = reference.scored.threshold if len(classes) == 2 else None
        metrics.append(ClassificationPreset(probas_threshold=threshold))
    definition = _definition(columns, classes)
    common = {
        name: _common(reference.frame[name], current.frame[name])
        for name, kind in columns.items()
        if kind == "category"
    }
    datasets = [_dataset(side, columns, common, classes, definition) for side in (current, reference)]
    snapshot = Report(metrics, include_tests=True).run(*datasets)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot.save_html(str(folder / HTML))
    snapshot.save_json(str(folder / JSON))
    drifted = _drifted(json.loads((folder / JSON).read_text(encoding="utf-8")))
    return {
        "drift_share": len(drifted) / max(len(columns), 1),
        "drifted": drifted,
        "rows_train": rows_train,
        "rows_test": rows_test,
        "quality": quality,
    }


def _quality(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """Return the share of missing values on both sides, and by how much it rose in each column where it did."""
    before, after = train.isna().mean(), test.isna().mean()
    rose = (after - before)[after > before]
    return {
        "missing_train": float(before.mean()),
        "missing_test": float(after.mean()),
        "missing_rose": {str(name): float(value) for name, value in rose.sort_values(ascending=False).items()},
    }


def _columns(train: pd.DataFrame, test: pd.DataFrame, fields: tuple[Field, ...]) -> dict[str, str]:
    """Return column → kind of the columns that can be compared: no dates, none that is empty on a side."""
    return {
        field.name: "numeric" if field.type == "number" else "category"
        for field in fields
        if field.type != "datetime" and train[field.name].notna().any() and test[field.name].notna().any()
    }


def _definition(columns: dict[str, str], classes: tuple[Any, ...] | None) -> Any:
    from evidently import BinaryClassification, DataDefinition, MulticlassClassification, Regression

    numeric = [name for name, kind in columns.items() if kind == "numeric"]
    categorical = [name for name, kind in columns.items() if kind == "category"]
    kinds = {"numerical_columns": numeric, "categorical_columns": categorical}
    if classes is None:
        return DataDefinition(**kinds, regression=[Regression(target=_TARGET, prediction=_PREDICTION)])
    if len(classes) == 2:
        binary = BinaryClassification(target=_TARGET, prediction_probas=_PREDICTION, pos_label=str(classes[1]))
        return DataDefinition(**kinds, classification=[binary])
    several = MulticlassClassification(target=_TARGET, prediction_labels=_PREDICTION)
    return DataDefinition(**kinds, classification=[several])


def _dataset(
    side: Side,
    columns: dict[str, str],
    common: dict[str, set[str]],
    classes: tuple[Any, ...] | None,
    definition: Any,
) -> Any:
    import pandas as pd
    from evidently import Dataset

    data = {
        name: side.frame[name] if kind == "numeric" else _levels(side.frame[name], common[name])
        for name, kind in columns.items()
    }
    frame = pd.DataFrame(data).reset_index(drop=True)
    outputs = side.scored.outputs
    if classes is None:
        return Dataset.from_pandas(frame.assign(**{_TARGET: side.target, _PREDICTION: outputs}), definition)
    names = np.array([str(label) for label in classes], dtype=object)
    predicted = outputs if len(classes) == 2 else names[labels(outputs)]
    return Dataset.from_pandas(frame.assign(**{_TARGET: names[side.target], _PREDICTION: predicted}), definition)


def _common(one: pd.Series, other: pd.Series) -> set[str]:
    """Return the levels with `LEAST_SHARE` of the rows of both sides together.

    A choice by one side alone would be a difference between the sides: its most frequent levels are so by chance too.
    """
    import pandas as pd

    shares = pd.concat([one, other]).dropna().astype(str).value_counts(normalize=True)
    return set(shares.index[shares >= LEAST_SHARE])


def _levels(column: pd.Series, common: set[str]) -> pd.Series:
    """Return the column as text; its rare levels are one."""
    text = column.astype(object).where(column.isna(), column.astype(str))
    return text.where(column.isna() | text.isin(common), _OTHER)


def _drifted(document: dict[str, Any]) -> list[str]:
    """Return the drifted columns of Evidently's JSON: a p-value below its threshold, or a distance that reaches it."""
    found = []
    for metric in document["metrics"]:
        config = metric["config"]
        if not config["type"].endswith(":ValueDrift"):
            continue
        value, threshold = float(metric["value"]), float(config["threshold"])
        if value < threshold if "p_value" in config["method"] else value >= threshold:
            found.append(str(config["column"]))
    return sorted(found)
