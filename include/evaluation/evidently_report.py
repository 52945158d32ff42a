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
SMALL = 2000
"""Rows of the smaller side up to which drift is a test with a p-value; above, a distance.

Evidently looks at the reference alone. A distance of 0.1 between 1800 and 600 rows of one population is chance, though:
their means alone differ by 0.05 standard deviations.
"""
FALSE_ALARMS = 0.05
"""Small samples: probability that any column at all is called drifted although none is."""
KS, CHI_SQUARE = "ks", "chisquare"
"""Evidently's names of the tests that give p-values; its other methods here give distances."""
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

    Where a side has up to `SMALL` rows, drift is tested (Kolmogorov-Smirnov, chi-square), at 5 % over all columns
    together; with more it is a distance of at least 0.1, as Evidently takes by default (Wasserstein in standard
    deviations, Jensen-Shannon). Dates are left out: in a split by time they differ by design.

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
    common = {
        name: _common(reference.frame[name], current.frame[name])
        for name, kind in columns.items()
        if kind == "category"
    }
    tests: dict[str, Any] = {}
    if min(len(reference.frame), len(current.frame)) <= SMALL:
        bound = FALSE_ALARMS / max(len(columns), 1)
        counted = {
            name: chi_square_bound(
                bound, _levels(reference.frame[name], levels).dropna(), _levels(current.frame[name], levels).dropna()
            )
            for name, levels in common.items()
        }
        tests = {"num_method": KS, "cat_method": CHI_SQUARE, "threshold": bound, "per_column_threshold": counted}
    metrics: list[Any] = [
        DataDriftPreset(columns=list(columns), drift_share=drift_share, **tests),
        DataSummaryPreset(columns=list(columns)),
    ]
    if classes is None:
        metrics.append(RegressionPreset())
    elif len(np.unique(reference.target)) > 1 and len(np.unique(current.target)) > 1:
        threshold = reference.scored.threshold if len(classes) == 2 else None
        metrics.append(ClassificationPreset(probas_threshold=threshold))
    definition = _definition(columns, classes)
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


def chi_square_bound(bound: float, reference: pd.Series, current: pd.Series) -> float:
    """Return the p-value below which Evidently's chi-square test means what ``bound`` says.

    Evidently takes the shares of the reference for the true ones. They are a sample of n rows, held against one of m:
    its statistic is about ``1 + m / n`` times the one that has the distribution (Pearson's for two samples), so that
    it would call one column in six different at 5 % where the sides are of one size.

    Args:
        bound: probability of a false alarm that is wanted.
        reference: levels, shape (n,), none missing.
        current: levels, shape (m,), none missing.
    """
    from scipy.stats import chi2

    freedom = len(set(reference) | set(current)) - 1
    if freedom < 1:
        return bound
    return float(chi2.sf(chi2.isf(bound, freedom) * (1 + len(current) / len(reference)), freedom))


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
        if value < threshold if config["method"] in (KS, CHI_SQUARE) else value >= threshold:
            found.append(str(config["column"]))
    return sorted(found)
