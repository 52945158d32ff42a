"""The report of a window for people: Evidently's page and figures, with the tests that the drift monitor decides by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.monitoring.drift import ColumnDrift, Compared
from include.monitoring.statistics import categorical_psi, homogeneity_p_value, numeric_psi

if TYPE_CHECKING:
    import pandas as pd

HTML, JSON = "evidently.html", "evidently.json"
CHI2, PSI = "homogeneity", "stability_index"
METHODS = {"ks": "ks", "chi2": CHI2}
"""Evidently's name of each test."""


def write_report(folder: Path, data: Compared, columns: Sequence[ColumnDrift], alpha: float, min_effect: float) -> None:
    """Write ``evidently.html`` and ``evidently.json`` of one window into ``folder``.

    They show every column's p-value against ``alpha / m``, and for those that surely differ how much they do: the
    population stability index against ``min_effect``.

    Args:
        folder: where to write; made when it is not there.
        data: the columns of the window beside those of the reference.
        columns: what the drift monitor found in ``data``.
        alpha: false-alarm probability of all columns together.
        min_effect: index from which a sure difference counts as drift.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import DatasetMissingValueCount, RowCount, ValueDrift

    _register()
    bound = alpha / max(len(columns), 1)
    metrics: list[Any] = [RowCount(), DatasetMissingValueCount()]
    for one in columns:
        metrics.append(ValueDrift(column=one.column, method=METHODS[one.test], threshold=bound))
        if one.p_value <= bound:
            metrics.append(ValueDrift(column=one.column, method=PSI, threshold=min_effect))
    definition = DataDefinition(
        numerical_columns=[name for name, kind in data.kinds.items() if kind == "numeric"],
        categorical_columns=[name for name, kind in data.kinds.items() if kind == "categorical"],
    )
    current, reference = (
        Dataset.from_pandas(frame, data_definition=definition) for frame in (data.current, data.reference)
    )
    snapshot = Report(metrics, include_tests=True).run(current, reference)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot.save_html(str(folder / HTML))
    snapshot.save_json(str(folder / JSON))


def _register() -> None:
    """Make this house's tests known to Evidently by name."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    def homogeneity(
        reference: pd.Series, current: pd.Series, _kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        p_value = homogeneity_p_value(reference, current)
        return p_value, p_value <= threshold

    def stability(reference: pd.Series, current: pd.Series, kind: ColumnType, threshold: float) -> tuple[float, bool]:
        if kind == ColumnType.Numerical:
            psi = numeric_psi(reference.to_numpy(dtype=float), current.to_numpy(dtype=float))
        else:
            psi = categorical_psi(reference, current)
        return psi, psi >= threshold

    chi2 = StatTest(CHI2, "chi-squared test of homogeneity, p-value", [ColumnType.Categorical])
    index = StatTest(PSI, "population stability index", [ColumnType.Numerical, ColumnType.Categorical], 0.1)
    register_stattest(chi2, homogeneity)
    register_stattest(index, stability)
