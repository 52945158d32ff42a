"""Optimised forms on real data: what is lost and gained is measured, and the bound decides."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from include.evaluation.metrics import score
from include.features.plan import build_plan
from include.features.prepared import Prepared
from include.inference.choice import Choice
from include.inference.choose import choose_runtime
from include.inference.frames import rows_of
from include.inference.load import load_scorer
from include.registry.card import model_card
from include.specs import ModelSpec
from include.specs.training import Features, Packaging
from include.steps.optimisation import optimise
from include.store.packages import Field, Manifest, ModelPackage, save_package

DATA = {"binary": load_breast_cancer, "multiclass": load_wine, "regression": load_diabetes}


@cache
def prepared(task: str) -> Prepared:
    table, target = DATA[task](return_X_y=True)
    fields = tuple(Field(name=f"x{index}", type="number", example=0.0) for index in range(table.shape[1]))
    train, test, train_y, test_y = train_test_split(
        pd.DataFrame(table.astype(float), columns=[field.name for field in fields]), target, random_state=0
    )
    classes = None if task == "regression" else tuple(range(len(np.unique(target))))
    return Prepared(task, fields, classes, train.reset_index(drop=True), train_y, test.reset_index(drop=True), test_y)


@cache
def package(task: str, network: bool = False) -> ModelPackage:
    rows = prepared(task)
    kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
    model: Any = MLPClassifier((512,), max_iter=20, random_state=0) if network else kind(30, random_state=0)
    plan = build_plan(rows.fields, Features(), task, "scaled" if network else "trees")
    manifest = Manifest(
        model="m",
        task=task,
        target="y",
        features=rows.fields,
        classes=rows.classes,
        algorithm="test",
        run="automl_pipeline.test",
        trained_at=datetime.now(UTC),
    )
    return ModelPackage(manifest, make_pipeline(plan, model).fit(rows.train, rows.train_target))


def optimised(folder: Path, task: str, network: bool = False, **packaging: Any) -> Choice:
    settings = Packaging(rows=200, **packaging)
    spec = ModelSpec.model_validate(
        {
            "name": "m",
            "owner": "tests",
            "data": {"source": {"path": "x.csv"}},
            "problem": {"type": task, "target": "y"},
            "packaging": settings.model_dump(),
        }
    )
    made = package(task, network)
    save_package(folder, made)
    rows = rows_of(prepared(task).test, prepared(task).fields)
    choice = optimise(folder, made, choose_runtime(folder, made, rows, settings), prepared(task), spec)
    card = model_card(spec, made.manifest, {"search": {"packaging": choice.model_dump()}}, {})
    assert all(f"{one.form}" in card for one in choice.optimised)
    assert Choice.load(folder) == choice
    return choice


@pytest.mark.parametrize("task", DATA)
def test_a_student_is_faster_and_what_it_loses_is_what_it_loses(tmp_path: Path, task: str) -> None:
    choice = optimised(tmp_path, task, optimise=("student",), max_loss=100, runtime="sklearn")
    (student,) = choice.optimised
    assert (student.serves, choice.runtime, student.reason) == (True, "lightgbm", "")
    assert student.one_ms < student.one_ms_before
    assert student.size_mb < student.size_mb_before
    assert student.low <= student.loss <= student.high
    rows = prepared(task)
    scores = load_scorer(tmp_path, package(task).manifest).score(rows_of(rows.test, rows.fields))
    outputs = scores[:, 1] if task == "binary" else scores
    after = score(student.metric, rows.test_target, outputs)
    sign = -1 if student.metric in ("rmse", "log_loss") else 1
    assert student.loss == pytest.approx(sign * (student.before - after) / abs(student.before))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "encoder.json",
        "factory.json",
        "model.skops",
        "model.txt",
        "runtime.json",
    ]


def test_a_student_that_may_lose_too_much_does_not_serve(tmp_path: Path) -> None:
    choice = optimised(tmp_path, "multiclass", optimise=("student",), max_loss=0.0, runtime="sklearn")
    (student,) = choice.optimised
    assert (student.serves, choice.runtime) == (False, "sklearn")
    assert "it may lose" in student.reason
    assert not (tmp_path / "model.txt").exists()


def test_a_network_is_quantised_and_compiled_and_trees_are_not_quantised(tmp_path: Path) -> None:
    forms = optimised(tmp_path / "a", "multiclass", True, optimise=("quantised", "compiled"), max_loss=1.0).optimised
    quantised, compiled = forms
    assert quantised.size_mb < quantised.size_mb_before / 2
    assert quantised.high < 1
    assert compiled.loss == pytest.approx(0, abs=1e-4)
    (trees,) = optimised(tmp_path / "b", "binary", optimise=("quantised",)).optimised
    assert not trees.serves
    assert "not built: its graph is made of" in trees.reason
    assert "trees compare and add up" in trees.reason


def test_without_a_wish_nothing_is_built(tmp_path: Path) -> None:
    choice = optimised(tmp_path, "regression")
    assert choice.optimised == ()
