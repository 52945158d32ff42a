"""The neural net for tables: its gradients, its bounds, what it keeps, and its ONNX graph."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from include.inference.ensemble import BlendRegressor, Plans
from include.inference.export import divided, export
from include.inference.mlp import TabularMLPClassifier, TabularMLPRegressor
from include.inference.mlp_inputs import MLPInputs
from include.inference.mlp_network import Network, softmax
from include.inference.mlp_training import Loss, slopes_of
from include.inference.runtimes import find_runtime
from include.inference.runtimes.sklearn import SklearnScorer
from include.specs.training import Task
from include.store.packages import ModelPackage
from tests.unit.inference.tables import NUMBERS, fitted, mixed_rows, number_rows, strange_rows

RNG = np.random.default_rng


def smooth(rows: int = 600, columns: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and values that depend smoothly on the first two columns."""
    rng = RNG(seed)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    return x, np.sin(2 * x[:, 0]) + x[:, 1 % columns] ** 2 + rng.normal(scale=0.05, size=rows)


def small(kind: type[Any], **more: Any) -> Any:
    return kind(**{"members": 2, "width": 16, "epochs": 12, "random_state": 0, **more})


@pytest.mark.parametrize("loss", ["log", "squared", "absolute"])
def test_gradients_are_those_of_finite_differences(loss: Loss) -> None:
    rng = RNG(0)
    network = Network([5, 7, 6, 3], members=2, prior=np.zeros(3), typical=1.0, rng=rng)
    network.parameters = rng.normal(size=network.parameters.shape) / 2  # in float64: differences need the digits
    network._views = network._viewed(network.parameters)
    network.gradient = np.zeros_like(network.parameters)
    network._gradients = network._viewed(network.gradient)
    rows, target = rng.normal(size=(9, 5)), np.eye(3)[rng.integers(3, size=9)]

    def total() -> float:
        outputs, _ = network.run(rows)
        if loss == "log":
            return float(-(target * np.log(softmax(outputs))).sum())
        errors = outputs - target
        return float(np.abs(errors).sum() if loss == "absolute" else np.square(errors).sum() / 2)

    outputs, tape = network.run(rows)
    network.learn(rows, tape, slopes_of(loss, outputs, target))
    for place in rng.choice(len(network.parameters), 60, replace=False):
        kept = network.parameters[place]
        network.parameters[place] = kept + 1e-6
        above = total()
        network.parameters[place] = kept - 1e-6
        below = total()
        network.parameters[place] = kept
        assert network.gradient[place] == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-6)


def test_it_learns_what_is_smooth() -> None:
    x, y = smooth(1500)
    model = TabularMLPRegressor(random_state=0).fit(x[:1000], y[:1000])
    assert model.score(x[1000:], y[1000:]) > 0.95


def test_held_rows_stop_it_at_its_best() -> None:
    x, y = smooth(400)
    noise = y + RNG(1).normal(scale=3, size=400)
    held = (x[200:], noise[200:], None)
    model = TabularMLPRegressor(epochs=200, random_state=0).fit(x[:200], noise[:200], held=held)
    longest = TabularMLPRegressor(epochs=200, random_state=0).fit(x[:200], noise[:200])
    assert model.epochs_ < 100 < longest.epochs_ == 200

    def error(found: Any) -> float:
        return float(np.square(found.predict(x[200:]) - noise[200:]).mean())

    assert error(model) < 0.9 * error(longest)


def test_wrong_answers_or_likelihood_may_stop_it() -> None:
    x, y = smooth(600)
    codes = (y + RNG(1).normal(size=600) > 1).astype(int)
    held = (x[400:], codes[400:], None)
    by_error = small(TabularMLPClassifier, epochs=100, stop_by="error").fit(x[:400], codes[:400], held=held)
    by_log = small(TabularMLPClassifier, epochs=100).fit(x[:400], codes[:400], held=held)
    assert by_error.score(x[400:], codes[400:]) >= by_log.score(x[400:], codes[400:])
    assert by_error.epochs_ != by_log.epochs_


def test_time_is_kept() -> None:
    x, y = smooth(4000, 20)
    model = TabularMLPRegressor(epochs=100_000, random_state=0)
    started = time.monotonic()
    model.fit(x[:3000], y[:3000], held=(x[3000:], y[3000:], None), seconds=1.0)
    assert 0.5 < time.monotonic() - started < 5.0
    assert model.score(x[3000:], y[3000:]) > 0.5
    model.fit(x, y, seconds=0.0)  # no time at all is time for a step
    assert np.isfinite(model.predict(x)).all()


def test_weights_count() -> None:
    x, y = smooth(600)
    both, values = np.vstack([x, x]), np.concatenate([y, y + 5])
    weights = np.repeat([1.0, 1e-6], 600)
    model = small(TabularMLPRegressor, epochs=60).fit(both, values, sample_weight=weights)
    assert np.abs(model.predict(x) - y).mean() < 1
    codes = np.repeat([0, 1], 600)
    sure = small(TabularMLPClassifier).fit(both, codes, sample_weight=weights)
    assert sure.predict_proba(x)[:, 0].mean() > 0.99


def test_values_stay_within_those_of_training() -> None:
    x, y = smooth(300)
    found = small(TabularMLPRegressor).fit(x, y).predict(x * 1e6)
    assert y.min() <= found.min()
    assert found.max() <= y.max()


@pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize("members", [1, 3])
def test_a_row_alone_gets_the_answer_that_it_gets_among_others(kind: type[Any], members: int) -> None:
    x, y = smooth(5000)
    model = small(kind, members=members, epochs=1).fit(x, y if kind is TabularMLPRegressor else (y > 0).astype(int))
    answer = model.predict if kind is TabularMLPRegressor else model.predict_proba
    np.testing.assert_allclose(answer(x)[[0, 4999]], [answer(x[:1])[0], answer(x[4999:])[0]], atol=1e-5)


STRANGE = {
    "five rows": smooth(5)[0],
    "one row": smooth(1)[0],
    "one column": smooth(50, 1)[0],
    "constant columns": np.hstack([smooth(50)[0], np.zeros((50, 1)), np.full((50, 1), 7e7)]).astype(np.float32),
    "nothing but constants": np.ones((50, 3), dtype=np.float32),
    "2000 columns": smooth(60, 2000)[0],
    "huge outliers": np.where(RNG(0).random((80, 4)) < 0.05, 3.4e38, -smooth(80)[0]).astype(np.float32),
    "from end to end": np.where(RNG(0).random((80, 4)) < 0.5, 3.4e38, -3.4e38).astype(np.float32),
    "tiny": (smooth(80)[0] * 1e-38).astype(np.float32),
    "mostly zero": np.where(RNG(0).random((80, 4)) < 0.9, 0, smooth(80)[0]).astype(np.float32),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_rows_are_survived(name: str) -> None:
    x = STRANGE[name]
    y = np.arange(len(x)) % 3
    far = np.array([[3.4e38], [-3.4e38], [0], [1e-38]], dtype=np.float32) * np.ones(x.shape[1], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classes = small(TabularMLPClassifier, epochs=2).fit(x, y, held=(x, y, None)).predict_proba(np.vstack([x, far]))
        values = small(TabularMLPRegressor, epochs=2).fit(x, y * 1e30).predict(np.vstack([x, far]))
    np.testing.assert_allclose(classes.sum(axis=1), 1, atol=1e-5)
    assert np.isfinite(values).all()


def test_classes_need_not_all_be_known() -> None:
    x, _ = smooth(60)
    rare = np.array([0, 2] * 29 + [5, 5])
    model = small(TabularMLPClassifier).fit(x[:58], rare[:58], held=(x, rare, np.ones(60)))
    assert model.predict_proba(x).shape == (60, 2)
    assert set(model.predict(x)) <= {0, 2}
    unknown = small(TabularMLPClassifier).fit(x[:58], rare[:58], held=(x[58:], rare[58:], None))
    assert unknown.epochs_ == unknown.epochs  # nothing was held that could stop it
    lonely = small(TabularMLPClassifier).fit(x, np.zeros(60, dtype=int))
    np.testing.assert_array_equal(lonely.predict_proba(x), np.ones((60, 1)))


def test_inputs_are_bounded_and_steps_rise() -> None:
    rng = RNG(0)
    table = np.column_stack([rng.exponential(size=900) ** 3, rng.integers(2, size=900)]).astype(np.float32)
    inputs = MLPInputs(table, 8, rng)
    assert set(inputs.sources) == {0}, "what has two values needs no steps"
    assert len(inputs.sources) == 8
    ordered = inputs(table[np.argsort(table[:, 0])])
    assert np.abs(ordered).max() <= 3
    steps = ordered[:, 2:]
    assert (np.diff(steps, axis=0) >= -1e-6).all()
    np.testing.assert_allclose(steps[[0, -1]], [[-1] * 8, [1] * 8], atol=1e-4)
    usual, other = np.unique(ordered[:, 1])[:: 1 if np.median(table[:, 1]) == 0 else -1]
    assert usual == 0, "what most rows have is the middle"
    assert abs(other) == pytest.approx(2 / np.sqrt(1 + 4 / 9))
    assert MLPInputs(rng.normal(size=(50, 1000)).astype(np.float32), 8, rng).width == 1000


CASES: dict[str, tuple[Task, dict[str, Any]]] = {
    "binary": ("binary", {}),
    "multiclass": ("multiclass", {"quantiles": 0}),
    "regression": ("regression", {}),
    "one member": ("multiclass", {"members": 1}),
    "one member's values": ("regression", {"members": 1, "hidden": 1}),
}


@pytest.mark.parametrize("case", CASES)
def test_its_graph_answers_as_it_does(case: str, tmp_path: Path) -> None:
    task, more = CASES[case]
    package = fitted(small(TabularMLPRegressor if task == "regression" else TabularMLPClassifier, **more), task)
    rows = [*mixed_rows(300, seed=5), *strange_rows()]
    assert served(package, tmp_path, rows) <= 1e-4


def test_its_graph_may_be_part_of_an_ensemble(tmp_path: Path) -> None:
    members = [("net", small(TabularMLPClassifier)), ("linear", LogisticRegression())]
    package = fitted(VotingClassifier(members, voting="soft"), fields=NUMBERS, scale=True)
    assert served(package, tmp_path, number_rows(300, seed=5)) <= 1e-4


def test_its_graphs_may_be_blended(tmp_path: Path) -> None:
    pieces = (
        fitted(small(TabularMLPRegressor), "regression"),
        fitted(small(TabularMLPRegressor, members=1), "regression"),
    )
    plans, nets = zip(*((one.estimator[0], one.estimator[1]) for one in pieces), strict=True)
    first, both = (int(width) for width in np.cumsum([net.n_features_in_ for net in nets]))
    blend = BlendRegressor(nets, [(0, first), (first, both)], [0.3, 0.7], both)
    pipeline = Pipeline([("features", Plans(plans)), ("model", blend)])
    package = ModelPackage(pieces[0].manifest, pipeline)
    assert served(package, tmp_path, mixed_rows(300, seed=5)) <= 1e-4


def served(package: ModelPackage, folder: Path, rows: list[Any]) -> float:
    """Return by how much ONNX Runtime's answers differ, for rows together and one at a time."""
    encoding, model = divided(package)
    export("onnx", model, encoding, package.manifest, folder)
    scorer = find_runtime("onnx").open(folder, package.manifest)
    expected = SklearnScorer(package.manifest, package.estimator).score(rows)
    ones = np.array([scorer.score_one(row) for row in rows[:20]]).reshape(expected[:20].shape)
    return max(float(np.abs(scorer.score(rows) - expected).max()), float(np.abs(ones - expected[:20]).max()))
