"""LightGBM and CatBoost by their own files: behind a feature plan as trained here, and alone as trained elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.inference.frames import mixed_frame
from include.inference.load import load_scorer
from include.inference.scorer import Row
from include.specs import FactoryError
from include.specs.training import Task
from include.store.packages import save_manifest
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

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


def light(task: Task) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if task == "regression" else LGBMClassifier
    return kind(n_estimators=20, num_leaves=15, min_child_samples=5, n_jobs=1, verbosity=-1)


def cat(task: Task, **more: Any) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostRegressor if task == "regression" else CatBoostClassifier
    return kind(iterations=20, depth=4, verbose=0, thread_count=1, allow_writing_files=False, **more)


def write_light(estimator: Any, folder: Path) -> None:
    estimator.booster_.save_model(folder / "model.txt")


def write_cat(estimator: Any, folder: Path) -> None:
    estimator.save_model(str(folder / "model.cbm"))


def answers(estimator: Any, table: Any, task: Task) -> np.ndarray:
    return estimator.predict(table) if task == "regression" else estimator.predict_proba(table)


def choose(folder: Path, runtime: str, task: Task, fields: tuple) -> Any:
    """Write manifest and choice, and open the scorer."""
    described = manifest(task, fields)
    save_manifest(folder, described)
    (folder / "runtime.json").write_text(f'{{"runtime": "{runtime}"}}')
    return load_scorer(folder, described)


KINDS: dict[str, tuple[Callable[[Task], Any], Callable[[Any, Path], None]]] = {
    "lightgbm": (light, write_light),
    "catboost": (cat, write_cat),
}


@pytest.fixture(scope="module", params=[(kind, task) for kind in KINDS for task in TASKS], ids="-".join)
def behind_a_plan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    runtime, task = request.param
    make, write = KINDS[runtime]
    folder = tmp_path_factory.mktemp(runtime)
    estimator = fitted(make(task), task).estimator
    estimator.named_steps["features"].encoding([field.name for field in FIELDS]).save(folder)
    write(estimator.named_steps["model"], folder)

    def expected(rows: list[Row]) -> np.ndarray:
        return answers(estimator, mixed_frame(rows, FIELDS), task)

    scorer = choose(folder, runtime, task, FIELDS)
    return Case(scorer, manifest(task), mixed_rows(30, seed=9) + strange_rows(), expected, tolerance=1e-9)


class TestBehindAFeaturePlan(ScorerContract):
    @pytest.fixture
    def case(self, behind_a_plan: Case) -> Case:
        return behind_a_plan


@pytest.fixture(scope="module", params=[(kind, task) for kind in KINDS for task in TASKS], ids="-".join)
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    runtime, task = request.param
    make, write = KINDS[runtime]
    folder = tmp_path_factory.mktemp(runtime)
    rows = number_rows(300)
    estimator = make(task).fit(np.array(rows), targets(rows, task))
    write(estimator, folder)
    scorer = choose(folder, runtime, task, NUMBERS)
    return Case(
        scorer,
        manifest(task, NUMBERS),
        number_rows(40, seed=9),
        lambda rows: answers(estimator, np.array(rows), task),
        tolerance=1e-9,
    )


class TestAlone(ScorerContract):
    @pytest.fixture
    def case(self, alone: Case) -> Case:
        return alone


class TestCatboostWithCategories(ScorerContract):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Case:
        fields = (*FIELDS[:2], FIELDS[3])

        def columns(rows: list[Row]) -> list[Row]:
            return [(row[0], row[1], row[3]) for row in rows]

        def table(rows: list[Row]) -> list[list[Any]]:
            return [[*row[:2], row[2] or ""] for row in rows]

        rows = mixed_rows(300)
        estimator = cat("binary", cat_features=[2]).fit(table(columns(rows)), targets(rows, "binary"))
        write_cat(estimator, tmp_path)
        scorer = choose(tmp_path, "catboost", "binary", fields)
        return Case(
            scorer,
            manifest("binary", fields),
            columns(mixed_rows(30, seed=9)),
            lambda rows: estimator.predict_proba(table(rows)),
            tolerance=1e-9,
        )


@pytest.mark.parametrize("depth", [1, 8, 10])
@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
def test_catboosts_trees_in_numpy_are_its_own(tmp_path: Path, depth: int, nan_mode: str) -> None:
    rows = number_rows(200)
    model = cat("regression", nan_mode=nan_mode).set_params(depth=depth, iterations=5)
    write_cat(model.fit(np.array(rows), targets(rows, "regression")), tmp_path)
    scorer = choose(tmp_path, "catboost", "regression", NUMBERS)
    assert scorer._trees is not None
    gaps = [
        tuple(float("nan") if index == hole else value for index, value in enumerate(row))
        for hole, row in enumerate(rows[:6])
    ]
    for row in [*rows[:20], *gaps]:
        assert scorer.score_one(row) == pytest.approx(model.predict(np.array([row])).tolist(), abs=1e-9)


def test_trees_of_another_shape_are_left_to_catboost(tmp_path: Path) -> None:
    rows = number_rows(200)
    model = cat("binary", grow_policy="Lossguide").fit(np.array(rows), targets(rows, "binary"))
    write_cat(model, tmp_path)
    scorer = choose(tmp_path, "catboost", "binary", NUMBERS)
    assert scorer._trees is None
    assert scorer.score_one(rows[0]) == pytest.approx(model.predict_proba(np.array(rows[:1]))[0].tolist())


@pytest.mark.parametrize("runtime", KINDS)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, runtime: str) -> None:
    for name in ("model.txt", "model.cbm"):
        (tmp_path / name).write_bytes(b"no model at all")
    with pytest.raises(FactoryError, match="cannot read it"):
        choose(tmp_path, runtime, "binary", NUMBERS)


@pytest.mark.parametrize("runtime", KINDS)
def test_a_model_of_other_columns_is_refused(tmp_path: Path, runtime: str) -> None:
    make, write = KINDS[runtime]
    rows = number_rows(100)
    write(make("binary").fit(np.array(rows), targets(rows, "binary")), tmp_path)
    with pytest.raises(FactoryError, match="takes 6 columns, the package gives 5"):
        choose(tmp_path, runtime, "binary", NUMBERS[:5])
