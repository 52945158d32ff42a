"""ONNX Runtime and the boosters' own predictors, held against the estimators that they were exported from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline

from include.automl.families import Conditions, Rows, find_family
from include.features.plan import build_plan
from include.inference.export import NotExportableError, divided, export
from include.inference.frames import mixed_frame
from include.inference.load import load_scorer
from include.inference.runtimes import find_runtime
from include.inference.runtimes.sklearn import SklearnScorer
from include.specs.training import TASKS, Features, Task
from include.store.packages import ModelPackage, save_package
from tests.unit.inference.scorer_contract import Case, ScorerContract
from tests.unit.inference.tables import (
    FIELDS,
    NUMBERS,
    fitted,
    manifest,
    mixed_rows,
    number_rows,
    strange_rows,
    targets,
)

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")


def boosted(task: Task, **more: Any) -> ModelPackage:
    estimator = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    return fitted(estimator(n_estimators=20, max_depth=4, n_jobs=1, **more), task)


def imputed() -> ModelPackage:
    rows = number_rows(200)
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression())
    pipeline.fit(mixed_frame(rows, NUMBERS), targets([(r[0], r[1]) for r in np.nan_to_num(rows)], "multiclass"))
    return ModelPackage(manifest("multiclass", NUMBERS), pipeline)


def vote() -> ModelPackage:
    members = [("linear", LogisticRegression(max_iter=500)), ("trees", xgboost.XGBClassifier(n_estimators=5))]
    return fitted(VotingClassifier(members, voting="soft"), scale=True)


def stack() -> ModelPackage:
    members = [("linear", LogisticRegression(max_iter=500)), ("trees", RandomForestClassifier(5, random_state=0))]
    return fitted(StackingClassifier(members, cv=2), scale=True)


def learnt(name: str, task: Task, metric: str = "") -> ModelPackage:
    """Return a package as the search makes one of an algorithm family, stopped early."""
    family = find_family(name)
    rows = mixed_rows(400)
    frame, target = mixed_frame(rows, FIELDS), targets(rows, task)
    plan = build_plan(FIELDS, Features(max_onehot=10), task, family.view)
    values = plan.fit_transform(frame, target)
    estimator = family.build(family.defaults(task), task, seed=1, threads=1)
    conditions = Conditions(held=Rows(values[300:], target[300:]), metric=metric)
    estimator = family.fit(estimator, Rows(values[:300], target[:300]), conditions)
    return ModelPackage(manifest(task), Pipeline([("features", plan), ("model", family.for_serving(estimator))]))


FAMILIES_OF = {
    "onnx": ("linear", "knn", "svm", "random_forest", "extra_trees", "xgboost", "lightgbm", "catboost"),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "catboost": ("catboost",),
}


MODELS: dict[tuple[str, str], Callable[[], ModelPackage]] = {
    ("onnx", "linear binary"): lambda: fitted(LogisticRegression(max_iter=500), scale=True),
    ("onnx", "ridge"): lambda: fitted(Ridge(), "regression", scale=True),
    ("onnx", "forest"): lambda: fitted(RandomForestClassifier(20, random_state=0), "multiclass"),
    ("onnx", "extra trees"): lambda: fitted(ExtraTreesRegressor(20, random_state=0), "regression"),
    ("onnx", "histogram boosting"): lambda: fitted(HistGradientBoostingClassifier(max_iter=20)),
    ("onnx", "neural network"): lambda: fitted(
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=20), "regression", scale=True
    ),
    ("onnx", "xgboost binary"): lambda: boosted("binary"),
    ("onnx", "xgboost regression"): lambda: boosted("regression"),
    ("onnx", "lightgbm"): lambda: fitted(lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1), "multiclass"),
    ("onnx", "vote"): vote,
    ("onnx", "stack"): stack,
    ("onnx", "no plan"): imputed,
    ("xgboost", "binary"): lambda: boosted("binary"),
    ("xgboost", "multiclass"): lambda: boosted("multiclass"),
    ("xgboost", "regression"): lambda: boosted("regression"),
    ("lightgbm", "binary"): lambda: fitted(lightgbm.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1)),
    ("onnx", "absolute errors by xgboost"): lambda: learnt("xgboost", "regression", "mae"),
    ("onnx", "absolute errors by lightgbm"): lambda: learnt("lightgbm", "regression", "mae"),
    ("onnx", "absolute errors by catboost"): lambda: learnt("catboost", "regression", "mae"),
    **{
        (runtime, f"{task} by {name}"): partial(learnt, name, task)
        for runtime, names in FAMILIES_OF.items()
        for name in names
        for task in TASKS
    },
}


def exported(runtime: str, package: ModelPackage, folder: Path) -> None:
    """Write the files of ``runtime`` and nothing else."""
    encoding, model = divided(package)
    export(runtime, model, encoding, package.manifest, folder)


class TestExportedRuntimes(ScorerContract):
    @pytest.fixture(scope="class", params=MODELS, ids=" ".join)
    def case(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
        runtime, _ = request.param
        package, folder = MODELS[request.param](), tmp_path_factory.mktemp("package")
        exported(runtime, package, folder)
        numbers = package.manifest.features == NUMBERS
        # a linear model answers infinitely much of what is as large as float32 holds
        rows = number_rows(40, seed=9) if numbers else mixed_rows(40, seed=9) + strange_rows()[:2]
        reference = SklearnScorer(package.manifest, package.estimator)
        scorer = find_runtime(runtime).open(folder, package.manifest)
        return Case(scorer, package.manifest, rows, reference.score, tolerance=2e-5)


@pytest.mark.parametrize("runtime", ["onnx", "xgboost"])
def test_scores_are_those_of_the_bare_booster(runtime: str, tmp_path: Path) -> None:
    package = boosted("binary")
    exported(runtime, package, tmp_path)
    rows = mixed_rows(500, seed=3) + strange_rows()
    plan, model = (step for _, step in package.estimator.steps)
    expected = model.get_booster().predict(xgboost.DMatrix(plan.transform(mixed_frame(rows, FIELDS))))
    found = find_runtime(runtime).open(tmp_path, package.manifest).score(rows)[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_know_the_rows_that_they_remember(weights: str, tmp_path: Path) -> None:
    package = fitted(KNeighborsClassifier(n_neighbors=7, weights=weights), "multiclass", NUMBERS, scale=True)
    exported("onnx", package, tmp_path)
    rows = number_rows(400)  # those that it was fitted on
    expected = SklearnScorer(package.manifest, package.estimator).score(rows)
    found = find_runtime("onnx").open(tmp_path, package.manifest).score(rows)
    assert (np.abs(found - expected).max(axis=1) < 1e-5).mean() > 0.99, "neighbours equally far may be others"
    if weights == "distance":
        assert (found.max(axis=1) == 1).all()


def test_early_stopping_is_kept_by_the_native_booster(tmp_path: Path) -> None:
    rows = number_rows(300)
    table, target = np.array(rows, dtype=np.float32), targets(np.nan_to_num(rows), "binary")
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    model.fit(table[:200], target[:200], eval_set=[(table[200:], target[200:])], verbose=False)
    assert model.best_iteration < 50
    package = ModelPackage(manifest("binary", NUMBERS), model)
    exported("xgboost", package, tmp_path)
    found = find_runtime("xgboost").open(tmp_path, package.manifest).score(rows)
    np.testing.assert_allclose(found, model.predict_proba(table), atol=1e-6)


@pytest.mark.parametrize(
    ("runtime", "estimator"), [("onnx", KNeighborsClassifier(metric="canberra")), ("xgboost", Ridge())]
)
def test_what_cannot_be_exported_says_why(runtime: str, estimator: Any, tmp_path: Path) -> None:
    package = fitted(estimator)
    with pytest.raises(NotExportableError, match=type(estimator).__name__):
        exported(runtime, package, tmp_path)


def test_an_onnx_package_is_served_without_the_libraries_that_trained_it(tmp_path: Path) -> None:
    package = boosted("binary")
    exported("onnx", package, tmp_path)
    save_package(tmp_path, package)
    (tmp_path / "model.skops").unlink()
    (tmp_path / "runtime.json").write_text('{"runtime": "onnx"}')
    expected = load_scorer(tmp_path, package.manifest).score_one(
        (9.5, 3.0, float("nan"), "pro", None, datetime(2026, 2, 1, 8, tzinfo=UTC))
    )
    script = f"""
import sys
from datetime import datetime
from pathlib import Path
from math import nan
from include.inference.load import load_scorer
from include.store.packages import Manifest
folder = Path({str(tmp_path)!r})
manifest = Manifest.model_validate_json((folder / "factory.json").read_bytes())
print(load_scorer(folder, manifest).score_one((9.5, 3.0, nan, "pro", None, datetime.fromisoformat("2026-02-01T08:00Z"))))
print([name for name in ("pandas", "sklearn", "skops", "xgboost", "mlflow") if name in sys.modules])
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert eval(out[0]) == expected
    assert out[1] == "[]"


def test_memory_stays_flat(tmp_path: Path) -> None:
    package = fitted(xgboost.XGBClassifier(n_estimators=3, n_jobs=1), fields=NUMBERS)
    exported("onnx", package, tmp_path)
    scorer = find_runtime("onnx").open(tmp_path, package.manifest)
    rows = number_rows(200)

    def ask(times: int) -> int:
        for _ in range(times):
            for row in rows:
                scorer.score_one(row)
            scorer.score(rows)
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = ask(10)
    assert ask(50) - before < 2**19, "10 000 rows that left 50 bytes each would show"
