"""The reference runtime: it answers what the estimator answers, and refuses what nobody trusts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from include.inference.frames import mixed_frame, numeric_frame
from include.inference.load import load_scorer
from include.inference.runtimes import find_runtime
from include.inference.runtimes.sklearn import SklearnScorer
from include.specs import FactoryError
from include.store.packages import ModelPackage, save_package, typed
from tests.unit.inference.scorer_contract import Case, ScorerContract
from tests.unit.inference.tables import FIELDS, NUMBERS, fitted, mixed_rows, number_rows, strange_rows

PACKAGES = {
    "binary": lambda: fitted(LogisticRegression(), scale=True),
    "multiclass": lambda: fitted(RandomForestClassifier(10, n_jobs=2, random_state=0), "multiclass"),
    "regression": lambda: fitted(Ridge(), "regression", NUMBERS),
}


@pytest.fixture(scope="module", params=PACKAGES)
def package(request: pytest.FixtureRequest) -> ModelPackage:
    return PACKAGES[request.param]()


class TestSklearnRuntime(ScorerContract):
    @pytest.fixture
    def case(self, package: ModelPackage, tmp_path: Path) -> Case:
        save_package(tmp_path, package)
        fields = package.manifest.features
        rows = number_rows(30, seed=9) if fields == NUMBERS else mixed_rows(30, seed=9) + strange_rows()

        def expected(rows: list[tuple]) -> np.ndarray:
            frame = typed(pd.DataFrame(rows, columns=[field.name for field in fields]), fields)
            if package.manifest.classes is None:
                return package.estimator.predict(frame)
            return package.probabilities(frame)

        return Case(load_scorer(tmp_path, package.manifest), package.manifest, rows, expected, tolerance=0)


def test_frames_are_those_that_training_saw() -> None:
    rows = mixed_rows(50) + strange_rows()
    frame = mixed_frame(rows, FIELDS)
    pd.testing.assert_frame_equal(frame, typed(frame.astype(object), FIELDS))
    numbers = number_rows(5)
    pd.testing.assert_frame_equal(numeric_frame(numbers, NUMBERS), mixed_frame(numbers, NUMBERS))


def test_it_uses_one_thread_whatever_the_estimator_was_fitted_with(tmp_path: Path) -> None:
    package = fitted(RandomForestClassifier(5, n_jobs=2), fields=NUMBERS)
    save_package(tmp_path, package)
    scorer = SklearnScorer.open(tmp_path, package.manifest)
    assert scorer._answer.__self__.named_steps["model"].n_jobs == 1


def test_a_device_that_it_does_not_have_is_refused(tmp_path: Path) -> None:
    package = fitted(LogisticRegression(), fields=NUMBERS)
    save_package(tmp_path, package)
    with pytest.raises(FactoryError, match="no device 'cuda'"):
        load_scorer(tmp_path, package.manifest, "cuda")


def test_an_unknown_runtime_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(FactoryError, match="did you mean 'sklearn'"):
        find_runtime("sklern")


def test_a_damaged_choice_says_what_to_do(tmp_path: Path) -> None:
    package = fitted(LogisticRegression(), fields=NUMBERS)
    save_package(tmp_path, package)
    (tmp_path / "runtime.json").write_text('{"runtime": 3}')
    with pytest.raises(FactoryError, match="train and register the model again"):
        load_scorer(tmp_path, package.manifest)
