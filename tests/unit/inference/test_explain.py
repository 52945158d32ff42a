"""Explanations add up to what the model puts out, and are those of the shap package."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from include.features.plan import FeaturePlan
from include.inference.explain import explainer_of, load_explainer
from include.inference.explanation import NotExplainableError
from include.inference.scorer import Row
from include.store.packages import Field, Manifest, ModelPackage, save_manifest, save_package, typed

catboost, lightgbm, shap, xgboost = map(pytest.importorskip, ("catboost", "lightgbm", "shap", "xgboost"))
FIELDS = (
    Field(name="age", type="number"),
    Field(name="vip", type="boolean"),
    Field(name="plan", type="string"),
    Field(name="seen", type="datetime"),
    Field(name="visits", type="number"),
)
NUMBERS = tuple(Field(name=name, type="number") for name in ("a", "b", "c", "d"))
RNG = np.random.default_rng(0)
TASKS = {"binary": ("no", "yes"), "multiclass": ("x", "y", "z"), "regression": None}


def manifest(task: str, fields: tuple[Field, ...]) -> Manifest:
    return Manifest(
        model="m", task=task, target="t", features=fields, classes=TASKS[task], algorithm="any", run="r",
        trained_at=datetime.now(UTC),
    )  # fmt: skip


def mixed(rows: int = 300) -> tuple[pd.DataFrame, list[Row]]:
    """Return mixed columns with gaps, as a frame and as checked rows."""
    frame = pd.DataFrame(
        {
            "age": np.where(RNG.random(rows) < 0.1, np.nan, RNG.normal(40, 10, rows)),
            "vip": (RNG.random(rows) > 0.5).astype(float),
            "plan": RNG.choice(np.array(["basic", "pro", "max", None], dtype=object), rows),
            "seen": pd.date_range("2026-01-01", periods=rows, freq="7h", tz="UTC"),
            "visits": RNG.poisson(3, rows).astype(float),
        }
    )
    frame = typed(frame, FIELDS)
    return frame, [tuple(row) for row in frame.itertuples(index=False)]


def codes(task: str, signal: np.ndarray) -> np.ndarray:
    if task == "regression":
        return signal
    return np.digitize(signal, [np.median(signal)] if task == "binary" else np.quantile(signal, [0.33, 0.66]))


def fitted(task: str, final: Any, scale: bool = False) -> tuple[Pipeline, pd.DataFrame, list[Row]]:
    frame, rows = mixed()
    signal = (
        frame["age"].fillna(40).to_numpy() + 10 * (frame["plan"] == "pro") + frame["visits"] + RNG.normal(0, 2, 300)
    )
    plan = FeaturePlan(
        numeric=("age", "visits"), categorical=("plan",), dates=("seen",), booleans=("vip",), scale=scale, task=task
    )
    return make_pipeline(plan, final).fit(frame, codes(task, signal.to_numpy())), frame, rows


def by_feature(plan: FeaturePlan, values: np.ndarray) -> np.ndarray:
    """Sum shap's values of columns, shape (rows, columns, …), over the names that begin with a feature's."""
    names = [str(name) for name in plan.get_feature_names_out()]
    chosen = [
        [name == f.name or name.startswith((f"{f.name}=", f"{f.name}.", f"{f.name} ")) for name in names]
        for f in FIELDS
    ]
    assert np.sum(chosen) == len(names)
    return np.stack([values[:, flags].sum(axis=1) for flags in chosen], axis=1)


def margins(final: Any, matrix: np.ndarray, task: str, space: str) -> np.ndarray:
    """Return what the explanation must add up to, shape (rows, outputs)."""
    if space == "probability":
        found = final.predict_proba(matrix)
        return found[:, 1:] if task == "binary" else found
    if isinstance(final, (xgboost.XGBClassifier, xgboost.XGBRegressor)):
        found = final.predict(matrix, output_margin=True)
    else:
        found = final.decision_function(matrix) if task != "regression" else final.predict(matrix)
    return found.reshape(len(matrix), -1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["xgboost", "forest", "linear"])
def test_contributions_are_shaps_and_add_up(task: str, family: str) -> None:
    regression = task == "regression"
    final = {
        "xgboost": (xgboost.XGBRegressor if regression else xgboost.XGBClassifier)(n_estimators=20, max_depth=4),
        "forest": (RandomForestRegressor if regression else RandomForestClassifier)(
            n_estimators=10, max_depth=5, random_state=0
        ),
        "linear": Ridge() if regression else LogisticRegression(max_iter=500),
    }[family]
    pipeline, frame, rows = fitted(task, final, scale=family == "linear")
    matrix = pipeline[0].transform(frame)
    found = explainer_of(pipeline, manifest(task, FIELDS)).explain(rows)
    wanted_space = "value" if regression else "probability" if family == "forest" else "logit"
    assert found.space == wanted_space
    assert found.contributions.shape == (300, 5, 3 if task == "multiclass" else 1)
    sums = found.base + found.contributions.sum(axis=1)
    np.testing.assert_allclose(sums, margins(final, matrix, task, found.space), atol=2e-4, rtol=1e-4)
    if family == "linear":
        reference = shap.LinearExplainer(final, shap.maskers.Independent(matrix, max_samples=len(matrix))).shap_values(
            matrix
        )
    else:
        reference = shap.TreeExplainer(final, feature_perturbation="tree_path_dependent").shap_values(matrix)
    reference = by_feature(pipeline[0], np.asarray(reference))
    if reference.ndim == 3:
        reference = reference[:, :, -found.contributions.shape[2] :]
    np.testing.assert_allclose(found.contributions, reference.reshape(found.contributions.shape), atol=1e-3, rtol=1e-3)


def numbers() -> tuple[np.ndarray, np.ndarray]:
    table = RNG.normal(size=(200, 4))
    return table, table[:, 0] * 2 + table[:, 1] ** 2


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("library", ["lightgbm", "catboost"])
def test_a_boosters_own_file_is_explained_as_shap_does(task: str, library: str, tmp_path: Path) -> None:
    table, signal = numbers()
    target = codes(task, signal)
    regression = task == "regression"
    if library == "lightgbm":
        model = (lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier)(n_estimators=15, verbose=-1).fit(
            table, target
        )
        model.booster_.save_model(tmp_path / "model.txt")
        raw = model.predict(table, raw_score=True).reshape(200, -1)
    else:
        model = (catboost.CatBoostRegressor if regression else catboost.CatBoostClassifier)(
            iterations=15, depth=4, verbose=False, allow_writing_files=False
        ).fit(table, target)
        model.save_model(str(tmp_path / "model.cbm"))
        raw = model.predict(table, prediction_type="RawFormulaVal").reshape(200, -1)
    save_manifest(tmp_path, manifest(task, NUMBERS))
    found = load_explainer(tmp_path, manifest(task, NUMBERS)).explain([tuple(row) for row in table])
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=1), raw, atol=1e-6)
    reference = np.asarray(shap.TreeExplainer(model).shap_values(table))
    np.testing.assert_allclose(found.contributions, reference.reshape(found.contributions.shape), atol=1e-6)


@pytest.mark.parametrize(
    ("task", "final", "space"),
    [
        ("regression", GradientBoostingRegressor(n_estimators=10), "value"),
        ("multiclass", HistGradientBoostingClassifier(max_iter=5), "logit"),
        ("binary", HistGradientBoostingClassifier(max_iter=5), "logit"),
    ],
)
def test_other_trees_add_up(task: str, final: Any, space: str) -> None:
    table, signal = numbers()
    final.fit(table, codes(task, signal))
    found = explainer_of(final, manifest(task, NUMBERS)).explain([tuple(row) for row in table])
    assert found.space == space
    np.testing.assert_allclose(
        found.base + found.contributions.sum(axis=1), margins(final, table, task, space), atol=1e-6
    )


def test_a_linear_model_behind_an_imputer_starts_from_what_fills_gaps() -> None:
    table, signal = numbers()
    pipeline = make_pipeline(SimpleImputer(), Ridge()).fit(pd.DataFrame(table, columns=list("abcd")), signal)
    found = explainer_of(pipeline, manifest("regression", NUMBERS)).explain([tuple(table[0]), (float("nan"),) * 4])
    assert found.base[0] == pytest.approx(signal.mean())
    assert np.abs(found.contributions[1]).max() == 0


def test_the_output_of_a_link_is_called_a_margin() -> None:
    table, signal = numbers()
    positive = np.exp(signal / 10)
    pipeline = make_pipeline(SimpleImputer(), PoissonRegressor()).fit(
        pd.DataFrame(table, columns=list("abcd")), positive
    )
    assert explainer_of(pipeline, manifest("regression", NUMBERS)).explain([tuple(table[0])]).space == "margin"
    booster = xgboost.XGBRegressor(objective="reg:gamma", n_estimators=5).fit(table, positive)
    assert explainer_of(booster, manifest("regression", NUMBERS)).explain([tuple(table[0])]).space == "margin"


def test_a_package_is_explained_after_saving(tmp_path: Path) -> None:
    pipeline, _, rows = fitted("binary", LogisticRegression(max_iter=500), scale=True)
    package = ModelPackage(manifest("binary", FIELDS), pipeline)
    save_package(tmp_path, package)
    again = load_explainer(tmp_path, package.manifest).explain(rows[:3])
    np.testing.assert_allclose(
        again.contributions, explainer_of(pipeline, package.manifest).explain(rows[:3]).contributions
    )


@pytest.mark.parametrize("case", ["neighbours", "no mean", "foreign columns", "empty"])
def test_what_cannot_be_explained_says_so(case: str, tmp_path: Path) -> None:
    table, signal = numbers()
    target = codes("binary", signal)
    if case == "empty":
        with pytest.raises(NotExplainableError, match="no known estimator"):
            load_explainer(tmp_path, manifest("binary", NUMBERS))
        return
    if case == "neighbours":
        estimator: Any = KNeighborsClassifier().fit(table, target)
    elif case == "no mean":
        estimator = LogisticRegression().fit(table, target)
    else:
        from sklearn.preprocessing import PolynomialFeatures

        estimator = make_pipeline(PolynomialFeatures(), LogisticRegression()).fit(table, target)
    with pytest.raises(NotExplainableError, match="not available for this model"):
        explainer_of(estimator, manifest("binary", NUMBERS))
