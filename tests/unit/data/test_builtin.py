from __future__ import annotations

import pytest

from include.data.builtin import DATASETS
from include.data.selection import select
from include.data.sources import open_source
from include.specs import Platform, SpecError, load_spec
from include.specs.params import TrainingParams
from tests.unit.data.source_contract import spec_of


@pytest.mark.parametrize(
    ("name", "rows", "columns", "kind"),
    [("churn", 13000, 17, "number"), ("breast_cancer", 569, 31, "string"), ("diabetes", 442, 11, "number")],
)
def test_shipped_models_have_their_data(name: str, rows: int, columns: int, kind: str, platform: Platform) -> None:
    spec = load_spec(name)
    frame = select(spec, platform, "automl_pipeline", TrainingParams()).frame
    assert frame.shape == (rows, columns)
    assert open_source(spec, platform).columns()[spec.problem.target] == kind


def test_the_published_figures_of_the_real_data_sets() -> None:
    # 212 malignant, 357 benign (Wolberg et al., UCI); mean age 48.5 and mean progression 152.1 (Efron et al., 2004)
    assert DATASETS["breast_cancer"]()["diagnosis"].value_counts().to_dict() == {"benign": 357, "malignant": 212}
    diabetes = DATASETS["diabetes"]()
    assert round(diabetes["age"].mean(), 1) == 48.5
    assert round(diabetes["progression"].mean(), 1) == 152.1


def test_an_unknown_data_set_gets_the_nearest_name(platform: Platform) -> None:
    with pytest.raises(SpecError, match=r"data.source.name: .*did you mean 'churn_simulated'"):
        open_source(spec_of({"type": "dataset", "name": "churn_simulate"}), platform)
