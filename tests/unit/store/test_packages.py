"""Model packages: what comes back predicts the same, and what is not trusted is never loaded."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.store.packages import (
    ESTIMATOR,
    MANIFEST,
    Field,
    ModelPackage,
    PackageError,
    load_package,
    save_package,
    typed,
)
from tests.model_packages import CHURN, ROW, churn, digits, house


@pytest.mark.parametrize("package", [churn(), digits(), house()], ids=["binary", "multiclass", "regression"])
def test_a_package_comes_back_and_predicts_the_same(package: ModelPackage, tmp_path: Path) -> None:
    save_package(tmp_path / "package", package)
    loaded = load_package(tmp_path / "package")
    assert loaded.manifest == package.manifest
    rows = [{field.name: field.example for field in package.manifest.features}]
    rows.append(dict.fromkeys(rows[0]))
    outputs = loaded.predict(loaded.frame(rows))
    assert outputs == package.predict(package.frame(rows))
    json.dumps(outputs)
    if package.manifest.classes:
        for output in outputs:
            assert list(output["probabilities"]) == [str(label) for label in package.manifest.classes]
            assert sum(output["probabilities"].values()) == pytest.approx(1)
            assert output["label"] in package.manifest.classes


def test_packages_are_loaded_one_at_a_time_because_python_3_11_7_cannot_parse_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import skops.io

    save_package(tmp_path / "p", churn())
    load, inside, at_once = skops.io.load, [], []

    def watched(*args: object, **options: object) -> object:
        inside.append(1)
        at_once.append(len(inside))
        time.sleep(0.02)
        try:
            return load(*args, **options)
        finally:
            inside.pop()

    monkeypatch.setattr(skops.io, "load", watched)
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: load_package(tmp_path / "p"), range(8)))
    assert len(loaded) == 8
    assert set(at_once) == {1}


def test_the_threshold_decides_a_binary_label() -> None:
    package = churn()
    frame = package.frame([{**ROW, "age": age} for age in range(20, 60, 4)])
    positive = package.probabilities(frame)[:, 1]
    for threshold in (0.2, float(positive[3]), 0.9):
        manifest = package.manifest.model_copy(update={"threshold": threshold})
        labels = [output["label"] for output in ModelPackage(manifest, package.estimator).predict(frame)]
        assert labels == ["leaves" if p >= threshold else "stays" for p in positive]


def test_a_type_that_is_not_trusted_is_refused_by_name(tmp_path: Path) -> None:
    import skops.io

    save_package(tmp_path, churn())
    skops.io.dump(Path("/tmp"), tmp_path / ESTIMATOR)
    with pytest.raises(PackageError, match=r"PosixPath.*was not loaded"):
        load_package(tmp_path)


def test_a_function_that_could_do_harm_is_refused_by_name(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    save_package(tmp_path, churn())
    skops.io.dump(FunctionTransformer(eval), tmp_path / ESTIMATOR)
    with pytest.raises(PackageError, match=r"builtins\.eval.*was not loaded"):
        load_package(tmp_path)


@pytest.mark.parametrize("broken", [MANIFEST, ESTIMATOR])
def test_an_incomplete_package_says_what_to_do(tmp_path: Path, broken: str) -> None:
    save_package(tmp_path, churn())
    (tmp_path / broken).unlink()
    with pytest.raises(PackageError, match=f"{broken}.*train and register the model again"):
        load_package(tmp_path)


def test_a_damaged_estimator_is_a_package_error(tmp_path: Path) -> None:
    save_package(tmp_path, churn())
    (tmp_path / ESTIMATOR).write_bytes(b"not a zip file")
    with pytest.raises(PackageError, match=ESTIMATOR):
        load_package(tmp_path)


def test_columns_get_one_type_each() -> None:
    frame = typed(
        pd.DataFrame(
            {
                "seen": ["2026-01-01", None],
                "plan": [7, None],
                "vip": [True, None],
                "age": ["1.5", np.nan],
                "left_out": [1, 2],
            }
        ),
        CHURN,
    )
    assert list(frame.columns) == ["age", "vip", "plan", "seen"]
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "object", "datetime64[ns, UTC]"]
    assert frame["plan"].tolist() == ["7", None] or frame["plan"].tolist() == ["7.0", None]
    assert frame["vip"].tolist()[0] == 1.0
    assert frame.isna().iloc[1].all()


@pytest.mark.parametrize(("kind", "value"), [("number", "many"), ("boolean", "maybe"), ("datetime", "yesterday")])
def test_a_value_of_another_type_names_its_column(kind: str, value: str) -> None:
    with pytest.raises(PackageError, match=f"'x' is not a {kind}"):
        typed(pd.DataFrame({"x": [value]}), [Field(name="x", type=kind)])
