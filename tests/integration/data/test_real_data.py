"""Real files go through check and selection with nothing but ten lines of YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.data.checks import check_data
from include.data.selection import select
from include.data.snapshot import digest
from include.specs import ModelSpec, Platform
from include.specs.params import TrainingParams


@pytest.mark.parametrize(
    ("file", "kind", "target", "time", "rows"),
    [
        ("telco_churn.csv", "binary", "Churn", None, 7043),
        ("adult.csv", "binary", "income", None, 32561),
        ("california_housing.csv", "regression", "median_house_value", None, 20640),
        ("ames_housing.csv", "regression", "Sale_Price", None, 2930),
        ("hotel_rates.csv", "regression", "avg_price_per_room", "arrival_date", 15402),
    ],
)
def test_real_data(
    file: str, kind: str, target: str, time: str | None, rows: int, real_data: Path, platform: Platform
) -> None:
    data = {"source": {"path": str(real_data / file)}, "time": time}
    problem = {"type": kind, "target": target}
    spec = ModelSpec.model_validate({"name": "real", "owner": "tests", "data": data, "problem": problem})
    report = check_data(spec, platform)
    assert (report.problems, report.rows) == ([], rows)
    selection = select(spec, platform, "automl_pipeline", TrainingParams())
    assert digest(selection.frame) == digest(select(spec, platform, "automl_pipeline", TrainingParams()).frame)
    assert selection.ordered == (time is not None)
