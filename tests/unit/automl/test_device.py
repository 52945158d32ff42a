"""A search that asks for a GPU that nobody sees is refused, before anything is fitted."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.automl import device
from include.automl.bench import Bench, Configuration, Options
from include.automl.device import cuda_devices, device_problem
from include.automl.families import Conditions, find_family
from include.automl.search import Plan, SearchError, search
from include.evaluation.metrics import metric
from include.features.prepared import Prepared
from include.specs import ModelSpec, Platform, parse_spec
from include.specs.training import FAMILIES, Features
from include.steps.check import device_problems
from include.store.packages import Field

SPEC = """
name: m
owner: me
data: {source: {path: x.csv}}
problem: {type: binary, target: y}
search: {device: cuda, families: [linear, xgboost]}
"""


class Driver:
    """A CUDA driver with two devices, or one that does not start."""

    def __init__(self, code: int) -> None:
        self.code = code

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's name
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_DRIVER", "libno-such-driver.so")


@pytest.mark.parametrize(("code", "seen"), [(0, 2), (100, 0)])
def test_devices_are_those_of_the_driver(monkeypatch: pytest.MonkeyPatch, code: int, seen: int) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(code))
    assert cuda_devices() == seen


def test_a_gpu_that_nobody_sees_is_told(no_gpu: None) -> None:
    assert cuda_devices() == 0
    assert device_problem("cpu", FAMILIES) == ""
    assert "xgboost sees no GPU" in device_problem("cuda", FAMILIES)
    assert "none of linear, knn uses a GPU; add xgboost" in device_problem("cuda", ["linear", "knn"])


def test_a_gpu_that_xgboost_sees_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cuda_devices", lambda: 1)
    monkeypatch.setattr("xgboost.build_info", lambda: {"USE_CUDA": True})
    assert device_problem("cuda", FAMILIES) == ""
    monkeypatch.setattr("xgboost.build_info", lambda: {"USE_CUDA": False})
    assert "sees no GPU" in device_problem("cuda", FAMILIES)


def test_the_search_is_refused_and_the_check_says_so_before(no_gpu: None, platform: Platform, tmp_path: Path) -> None:
    spec: ModelSpec = parse_spec(SPEC, "m.yaml")
    (problem,) = device_problems(spec, platform)
    assert str(problem).startswith("m: search.device: cuda is asked for, but xgboost sees no GPU")
    assert device_problems(parse_spec(SPEC.replace("device: cuda, ", ""), "m.yaml"), platform) == []
    assert device_problems(spec, platform.model_copy(update={"runtime": "kubernetes"})) == [], "a pod may have one"
    plan = Plan(tmp_path, spec, metric("roc_auc"), 5.0, str(tmp_path / "j.log"), tmp_path / "scratch", "study")
    with pytest.raises(SearchError, match=r"search\.device: cuda is asked for"):
        search(plan)


def test_every_fit_is_told_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    kind = type(find_family("linear"))
    fit = kind.fit

    def told(self: Any, estimator: Any, rows: Any, conditions: Conditions) -> Any:
        seen.append(conditions.device)
        return fit(self, estimator, rows, conditions)

    monkeypatch.setattr(kind, "fit", told)
    frame, target = pd.DataFrame({"x": np.arange(60.0)}), np.arange(60) % 2
    prepared = Prepared("binary", (Field(name="x", type="number"),), (0, 1), frame, target, frame, target)
    bench = Bench(prepared, Features(), metric("log_loss"), 3, 0, Options.of(parse_spec(SPEC, "m.yaml")))
    configuration = Configuration("linear", find_family("linear").defaults("binary"))
    bench.score(configuration, 0, 1)
    bench.refit(configuration, 1)
    assert seen == ["cuda", "cuda"]
