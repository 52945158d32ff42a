"""Evidently's report shows the very figures that the drift monitor decides by."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from include.monitoring.drift import Compared, column_drifts
from include.monitoring.report import HTML, JSON, write_report


@pytest.fixture(scope="module")
def data() -> Compared:
    rng = np.random.default_rng(0)

    def rows(count: int, moved: float) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "fee": rng.normal(20 + moved, 4, count),
                "age": np.where(rng.random(count) < 0.1, np.nan, rng.integers(18, 80, count)),
                "plan": rng.choice(["basic", "plus", None], count, p=[0.5 - moved / 10, 0.45 + moved / 10, 0.05]),
                "member": (rng.random(count) < 0.4).astype(float),
            }
        )

    kinds = {"fee": "numeric", "age": "numeric", "plan": "categorical", "member": "categorical"}
    return Compared(rows(900, 0.0), rows(350, 2.0), kinds)


@pytest.fixture(scope="module")
def shown(data, tmp_path_factory) -> dict[tuple[str, str], dict]:
    """Return what Evidently computed: (column, method) → its entry of the JSON report."""
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, data, column_drifts(data, 0.01, 0.1), alpha=0.01, min_effect=0.1)
    assert b"<html" in (folder / HTML).read_bytes()[:2000].lower()
    document = json.loads((folder / JSON).read_text())
    drift = [entry for entry in document["metrics"] if "method" in entry["config"]]
    return {(entry["config"]["column"], entry["config"]["method"]): entry for entry in drift}


def test_evidently_agrees_with_the_monitor(data, shown):
    for column in column_drifts(data, 0.01, 0.1):
        method = {"ks": "ks", "chi2": "homogeneity"}[column.test]
        assert shown[column.column, method]["value"] == pytest.approx(column.p_value)
        assert shown[column.column, method]["config"]["threshold"] == pytest.approx(0.01 / 4)
        assert ((column.column, "stability_index") in shown) is (column.p_value <= 0.01 / 4)
    assert shown["fee", "stability_index"]["value"] == pytest.approx(column_drifts(data, 0.01, 0.1)[0].psi)


def test_evidently_agrees_with_scipy(data, shown):
    fee = stats.ks_2samp(data.reference["fee"], data.current["fee"]).pvalue
    table = [frame["plan"].value_counts().sort_index() for frame in (data.reference, data.current)]
    plan = stats.chi2_contingency(table, correction=False).pvalue
    assert shown["fee", "ks"]["value"] == pytest.approx(fee)
    assert shown["plan", "homogeneity"]["value"] == pytest.approx(plan)
