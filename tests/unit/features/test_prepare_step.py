"""The step `prepare`, from a validated table to the folder that the search reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from include.data.churn import simulate
from include.features.prepared import Prepared
from include.specs import FactoryError, ModelSpec, load_spec
from include.steps.context import Outcome, StepContext
from include.steps.prepare import run
from include.store.runs import Result

Maker = Callable[..., StepContext]


@pytest.fixture(autouse=True)
def _no_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.steps.prepare.champions_rows", lambda context: None)


def spec(kind: str, target: str, search: dict[str, Any] | None = None, **data: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "demo",
            "owner": "me",
            "data": {"source": {"type": "csv", "path": "demo.csv"}, **data},
            "problem": {"type": kind, "target": target},
            "search": search or {},
        }
    )


def prepare(
    make: Maker, model: ModelSpec, frame: pd.DataFrame, ordered: bool = False
) -> tuple[Outcome, Prepared, Path]:
    """Leave what snapshot and validate leave, then run the step."""
    context = make(model, "prepare")
    moment = datetime.now(UTC)
    for step, values in (("snapshot", {"ordered": ordered}), ("validate", {"rows": len(frame)})):
        work = make(model, step).work
        if step == "validate":
            frame.to_parquet(work / "clean.parquet", index=False)
        common = {"model": model.name, "pipeline": context.pipeline, "run": context.run, "status": "done"}
        result = Result(**common, step=step, started=moment, ended=moment, values=values)
        context.folder.finish(result, work)
    outcome = run(context)
    return outcome, Prepared.load(context.work / "prepared"), context.work


def test_the_shipped_churn_model_is_split_by_time(context: Maker) -> None:
    frame = simulate(30, 6, per_week=200).sample(frac=1, random_state=1)  # the source may be in any order
    outcome, prepared, folder = prepare(context, load_spec("churn"), frame)
    assert outcome.values["train_rows"] == len(prepared.train) == 900
    assert outcome.values["test_rows"] == len(prepared.test) == 300
    assert prepared.ordered
    assert prepared.classes == (0, 1)
    assert outcome.values["dropped"] == {
        "customer_id": "the row's id",
        "observed_at": "the event time",
        "churned": "the target",
    }
    assert outcome.values["prevalence"] == pytest.approx(frame["churned"].mean())
    latest = frame.sort_values("observed_at", kind="stable")
    assert prepared.train["monthly_fee"].tolist() == latest["monthly_fee"].head(900).tolist()
    assert prepared.test_target.tolist() == latest["churned"].tail(300).tolist()
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["held_out"] == "the latest 300 of 1200 rows by time"
    json.dumps(outcome.values)


def test_labels_on_real_data_keep_their_names(context: Maker) -> None:
    data = load_breast_cancer(as_frame=True)
    frame = data.data.assign(diagnosis=np.where(data.target == 0, "malignant", "benign"))
    _, prepared, _ = prepare(context, load_spec("breast_cancer"), frame)
    assert prepared.classes == ("benign", "malignant")
    assert prepared.test_target.mean() == pytest.approx(prepared.train_target.mean(), abs=0.01)
    assert len(prepared.test) == 143


def test_regression_and_several_classes(context: Maker) -> None:
    data = load_diabetes(as_frame=True)
    frame = data.data.assign(progression=data.target.mask(data.target > 300))
    outcome, prepared, _ = prepare(context, load_spec("diabetes"), frame)
    assert "rows set aside: no target ('progression')" in outcome.message
    assert outcome.values["target_mean"] == pytest.approx(frame["progression"].mean())
    assert prepared.classes is None
    wine = load_wine(as_frame=True)
    outcome, prepared, _ = prepare(context, spec("multiclass", "kind"), wine.data.assign(kind=wine.target))
    assert prepared.classes == (0, 1, 2)
    assert sum(outcome.values["prevalence"].values()) == pytest.approx(1)


def test_groups_travel_with_the_training_rows(context: Maker) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=400), "who": np.repeat(np.arange(40), 10), "y": rng.integers(0, 2, 400)})
    _, prepared, _ = prepare(context, spec("binary", "y", group="who"), frame)
    assert prepared.train_groups is not None
    assert len(set(prepared.train_groups)) == 30
    assert not prepared.ordered
    held_out = set(frame["x"]) - set(prepared.train["x"])
    assert set(prepared.test["x"]) == held_out


def test_rows_in_time_order_need_no_time_column(context: Maker) -> None:
    frame = pd.DataFrame({"x": np.arange(100) % 7, "y": np.tile([0, 1], 50)})
    _, prepared, _ = prepare(context, spec("binary", "y"), frame, ordered=True)
    assert prepared.ordered
    assert prepared.train["x"].tolist() == frame["x"].head(75).tolist()


def _rows(count: int = 100, **columns: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=count), "y": np.arange(count) % 2, **columns})


@pytest.mark.parametrize(
    ("frame", "data", "message"),
    [
        (_rows(30), {}, "30 rows with a target are left, data.min_rows asks for 50"),
        (_rows(y=[None] * 70 + [0, 1] * 15), {}, "30 rows with a target are left"),
        (_rows().drop(columns="y"), {}, "there is no column 'y'"),
        (_rows().assign(x=1.0), {}, r"no column is left as a feature: 'x' has the same value in every row \(1.0\)"),
        (_rows(t=["soon"] * 100), {"time": "t"}, "holds no times"),
        (_rows(when=pd.Timestamp("2026-01-01")), {"time": "when"}, "every row has the same time"),
        (_rows(seen=range(100)), {"time": "sean"}, "did you mean 'seen'"),
        (
            _rows(y=[0] * 80 + [1] * 20, t=pd.date_range("2026-01-01", periods=100)),
            {"time": "t"},
            "too few training rows of a class of 'y' .1: 0",
        ),
        (
            _rows(y=[1] * 20 + [0] * 80, t=pd.date_range("2026-01-01", periods=100)),
            {"time": "t"},
            "too few held-out rows of a class of 'y' .1: 0",
        ),
    ],
)
def test_what_cannot_be_prepared_is_told(
    context: Maker, frame: pd.DataFrame, data: dict[str, Any], message: str
) -> None:
    with pytest.raises(FactoryError, match=message):
        prepare(context, spec("binary", "y", **data), frame)


def weighted(make: Maker, weights: Any, name: str = "w") -> Any:
    model = spec("binary", "y")
    model = model.model_copy(update={"problem": model.problem.model_copy(update={"weight": name})})
    return prepare(make, model, _rows(w=weights))


def test_weights_travel_with_their_rows_and_are_no_feature(context: Maker) -> None:
    outcome, prepared, _ = weighted(context, np.r_[np.zeros(10), np.arange(1, 91)])
    assert [field.name for field in prepared.fields] == ["x"]
    assert outcome.values["dropped"]["w"] == "the weight of the row"
    assert "10 rows set aside: a weight of 0 ('w')" in outcome.message
    both = [*prepared.train_weights, *prepared.test_weights]
    assert sorted(both) == list(range(1, 91)) and len(prepared.test_weights) == len(prepared.test)
    x = _rows()["x"].to_numpy()[10:]
    assert prepared.train["x"].tolist() == [x[int(weight) - 1] for weight in prepared.train_weights]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([None, *[1.0] * 99], "problem.weight: column 'w' is missing or no number in 1 rows"),
        (["much", *["1"] * 99], "missing or no number in 1 rows"),
        ([-1.0, -2.0, *[1.0] * 98], "is negative in 2 rows"),
        ([0.0] * 100, "is 0 in every row"),
    ],
)
def test_weights_that_cannot_be_used_are_told(context: Maker, weights: list[Any], message: str) -> None:
    with pytest.raises(FactoryError, match=message):
        weighted(context, weights)


def test_a_weight_that_is_not_there_is_told(context: Maker) -> None:
    with pytest.raises(FactoryError, match=r"problem.weight: there is no column 'wt'.*did you mean 'w'"):
        weighted(context, 1.0, "wt")


def test_real_tables_are_prepared(context: Maker, real_data: Path) -> None:
    telco = pd.read_csv(real_data / "telco_churn.csv")
    outcome, prepared, _ = prepare(context, spec("binary", "Churn"), telco)
    assert prepared.classes == ("No", "Yes")
    assert len(outcome.values["features"]) == 20
    houses = pd.read_csv(real_data / "california_housing.csv")
    outcome, prepared, _ = prepare(context, spec("regression", "median_house_value"), houses)
    assert prepared.train["total_bedrooms"].isna().any()
    assert outcome.values["test_rows"] == 5160


def test_rows_keep_the_side_that_they_had_for_the_champion(context: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = _rows(200)
    _, champion, _ = prepare(context, spec("binary", "y"), frame)
    monkeypatch.setattr("include.steps.prepare.champions_rows", lambda context: champion)
    outcome, prepared, _ = prepare(context, spec("binary", "y", {"seed": 99}), frame.iloc[::-1])
    assert "stay on the side on which they were for the champion" in outcome.message
    assert set(prepared.test["x"]) == set(champion.test["x"])
    assert len(prepared.train) == len(champion.train)
