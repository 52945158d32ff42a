"""What every algorithm family must satisfy: subclass, and give ``family``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from include.automl.bench import outputs_of
from include.automl.families import Conditions, Family, Params, Rows
from include.automl.families.boosting import ENOUGH, Boosted
from include.evaluation.metrics import score
from include.specs import FactoryError
from include.specs.training import TASKS
from include.store.packages import TRUSTED

Matrix = np.ndarray
METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def drawn(task: str, count: int, columns: int = 6, seed: int = 0) -> Rows:
    """Return rows of a signal that is neither linear nor additive."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, columns)).astype(np.float32)
    signal = x[:, 0] + 0.5 * x[:, -1] ** 2 + rng.normal(scale=0.1, size=count)
    if task == "regression":
        return Rows(x, signal)
    return Rows(x, np.digitize(signal, [0.4] if task == "binary" else [0.0, 0.8]))


def part(rows: Rows, start: int, stop: int) -> Rows:
    weights = None if rows.weights is None else rows.weights[start:stop]
    return Rows(rows.values[start:stop], rows.target[start:stop], weights)


def quality(task: str, rows: Rows, outputs: Matrix) -> float:
    """Return accuracy, or the share of the variance that is explained."""
    return score("r2" if task == "regression" else "accuracy", rows.target, outputs)


class FamilyContract:
    """Subclass it as ``class TestMine(FamilyContract): family = Mine()``."""

    family: Family

    @pytest.fixture(params=TASKS)
    def task(self, request: pytest.FixtureRequest) -> str:
        if request.param not in self.family.tasks:
            pytest.skip(f"{self.family.name} does not learn {request.param}")
        return request.param

    def asked(self, task: str, seed: int = 0) -> Params:
        import optuna

        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        return self.family.sample(study.ask(), task)

    def fitted(
        self,
        task: str,
        rows: Rows,
        params: Params | None = None,
        *,
        brief: bool = True,
        seed: int = 1,
        **conditions: Any,
    ) -> Any:
        """Return a fitted estimator; where nothing stops it early, of few rounds, and never after long."""
        params = self.family.defaults(task) if params is None else params
        if brief and "held" not in conditions and "rounds" in params:
            params = {**params, "rounds": 60}
        if "held" in conditions:
            conditions = {"seconds": 2, **conditions}
        estimator = self.family.build(params, task, seed, threads=1)
        return self.family.fit(estimator, rows, Conditions(metric=METRICS[task], **conditions))

    def test_its_file_bears_its_name(self) -> None:
        assert type(self.family).__module__.endswith(f".{self.family.name}")

    def test_the_portfolio_lies_in_the_space(self, task: str) -> None:
        import optuna

        portfolio = self.family.portfolio(task)
        assert portfolio[0] == self.family.defaults(task)
        assert len({json.dumps(params) for params in portfolio}) == len(portfolio)
        for params in portfolio:
            study = optuna.create_study()
            study.enqueue_trial(params)
            assert self.family.sample(study.ask(), task) == params
            for name, distribution in study.trials[0].distributions.items():
                assert distribution._contains(distribution.to_internal_repr(params[name])), name

    def test_configurations_survive_json(self, task: str) -> None:
        for seed in range(3):
            params = self.asked(task, seed)
            assert json.loads(json.dumps(params)) == params
            assert params.keys() == self.family.defaults(task).keys()

    def test_it_learns(self, task: str) -> None:
        rows = drawn(task, 600)
        for params in (*self.family.portfolio(task), self.asked(task)):
            held = part(rows, 300, 400)
            estimator = self.fitted(task, part(rows, 0, 300), params, held=held)
            outputs = outputs_of(estimator, rows.values[400:])
            assert np.isfinite(outputs).all()
            assert outputs.shape == ((200, 3) if task == "multiclass" else (200,))
            if params in self.family.portfolio(task):
                floor = {"binary": 0.65, "multiclass": 0.45, "regression": 0.2}[task]
                assert quality(task, part(rows, 400, 600), outputs) > floor, params

    @pytest.mark.parametrize("task", ["binary", "multiclass"])
    def test_probabilities_are_honest(self, task: str) -> None:
        rows = drawn(task, 800)
        noisy = rows.target.copy()
        flipped = np.random.default_rng(5).random(800) < 0.3
        noisy[flipped] = np.random.default_rng(6).permutation(noisy[flipped])
        rows = Rows(rows.values, noisy)
        estimators = [
            self.fitted(task, part(rows, 0, 400), params, held=part(rows, 400, 600))
            for params in self.family.portfolio(task)
        ]
        losses = [score("log_loss", noisy[600:], outputs_of(one, rows.values[600:])) for one in estimators]
        share = np.bincount(noisy[:400]) / 400
        dull = np.tile(share[1] if task == "binary" else share, (200, 1)).squeeze()
        assert min(losses) < score("log_loss", noisy[600:], dull)

    def test_the_same_seed_gives_the_same_model(self, task: str) -> None:
        rows, params = drawn(task, 300), self.asked(task, seed=4)
        first, second = (outputs_of(self.fitted(task, rows, params, seed=3), rows.values) for _ in range(2))
        np.testing.assert_allclose(first, second, atol=1e-6)

    def test_weights_count(self, task: str) -> None:
        """Each row is there twice, once with a wrong target that weighs next to nothing."""
        rows = drawn(task, 400)
        wrong = -rows.target if task == "regression" else (rows.target + 1) % (2 if task == "binary" else 3)
        both = np.concatenate([rows.values[:300], rows.values[:300]]), np.concatenate([wrong[:300], rows.target[:300]])
        weights = np.repeat([0.02, 1.98], 300)
        with_weights = self.fitted(task, Rows(*both, weights))
        without = self.fitted(task, Rows(*both))
        test = part(rows, 300, 400)
        good, bad = (quality(task, test, outputs_of(one, test.values)) for one in (with_weights, without))
        assert good > bad + 0.1

    def test_time_is_kept(self, task: str) -> None:
        rows = drawn(task, 3000, 20)
        params = self.family.defaults(task)
        self.fitted(task, part(rows, 0, 50))  # what is imported on the way is not the fit's
        started = time.process_time()
        estimator = self.fitted(task, part(rows, 0, 2500), params, held=part(rows, 2500, 3000), seconds=0.3)
        assert time.process_time() - started < 2.5
        assert np.isfinite(outputs_of(estimator, rows.values[:10])).all()

    def test_settled_parameters_do_as_well_without_held_rows(self, task: str) -> None:
        rows, test = drawn(task, 600), drawn(task, 300, seed=1)
        folds = [(part(rows, 0, 400), part(rows, 400, 600)), (part(rows, 200, 600), part(rows, 0, 200))]
        params = self.family.defaults(task)
        early = [self.fitted(task, fit, params, held=held) for fit, held in folds]
        settled = self.family.settled(params, early)
        assert settled.keys() == params.keys()
        whole = self.fitted(task, rows, settled, brief=False)
        before = np.mean([quality(task, test, outputs_of(one, test.values)) for one in early])
        assert quality(task, test, outputs_of(whole, test.values)) > before - 0.05

    def test_it_is_saved_without_pickle_and_comes_back_equal(self, task: str) -> None:
        import skops.io

        rows = drawn(task, 300)
        estimator = self.family.for_serving(self.fitted(task, part(rows, 0, 200), held=part(rows, 200, 300)))
        kept = skops.io.dumps(estimator)
        types = skops.io.get_untrusted_types(data=kept)
        assert [name for name in types if not name.startswith(TRUSTED)] == []
        again = skops.io.loads(kept, trusted=types)
        np.testing.assert_allclose(outputs_of(again, rows.values), outputs_of(estimator, rows.values), atol=1e-6)
        assert getattr(again, "n_jobs", 1) == 1

    @pytest.mark.parametrize("with_held", [True, False])
    def test_it_survives(self, task: str, with_held: bool) -> None:
        params = self.family.defaults(task)
        if "rounds" in params:
            params["rounds"] = 40
        for name, rows in strange_tables(task):
            held = {"held": Rows(rows.values[:3], rows.target[:3])} if with_held else {}
            try:
                outputs = outputs_of(self.fitted(task, rows, params, seconds=1, **held), rows.values)
            except FactoryError as error:
                assert "constant" in name, f"{name}: {error}"
                continue
            assert len(outputs) == len(rows.values), name
            assert np.isfinite(outputs).all(), name


def strange_tables(task: str) -> Iterator[tuple[str, Rows]]:
    """Yield tables that are hard on estimators; every class has a row."""
    rng = np.random.default_rng(0)

    def table(count: int, columns: int) -> Rows:
        values = rng.normal(size=(count, columns)).astype(np.float32)
        classes = 2 if task == "binary" else 3
        return Rows(values, rng.normal(size=count) if task == "regression" else np.arange(count) % classes)

    yield "five rows", table(5, 3)
    yield "one column", table(40, 1)
    yield "2000 columns", table(40, 2000)
    constant = table(40, 3)
    constant.values[:] = 7
    yield "constant columns", constant
    huge = table(60, 3)
    huge.values[0] = 1e30
    yield "a huge value", huge
    if task == "regression":
        yield "a constant target", Rows(table(30, 3).values, np.full(30, 2.5))
        yield "a target constant in single precision", Rows(table(60, 3).values, 1e9 + rng.normal(size=60))
    else:
        rare = table(90, 3)
        rare.target[:] = np.arange(90) % 2
        rare.target[89] = 1 if task == "binary" else 2
        rare.target[:88] = 0 if task == "binary" else rare.target[:88]
        yield "a rare class", rare


class MonotoneContract(FamilyContract):
    """What every family must satisfy besides that can keep to `Conditions.monotone`."""

    @pytest.mark.parametrize("task", ["binary", "regression"])
    def test_constraints_are_kept(self, task: str) -> None:
        rows = drawn(task, 400)
        signal = -rows.values[:, 0] + rows.values[:, 1]
        target = signal if task == "regression" else (signal > 0).astype(int)
        slopes = {}
        for sign in (1, -1):
            estimator = self.fitted(task, Rows(rows.values, target), monotone=[sign, 0, 0, 0, 0, 0])
            line = np.repeat(rows.values[:20], 30, axis=0)
            line[:, 0] = np.tile(np.linspace(-3, 3, 30), 20)
            slopes[sign] = np.diff(outputs_of(estimator, line).reshape(20, 30), axis=1)
        assert slopes[1].min() > -1e-6, "the data falls, the constraint does not let the answer"
        assert slopes[-1].max() < 1e-6
        assert slopes[-1].min() < -0.01

    def test_constraints_are_kept_where_errors_are_absolute(self) -> None:
        rows = drawn("regression", 400)
        target = -2 * rows.values[:, 0] + np.where(np.arange(400) % 3, 0, 5 * rows.values[:, 1])
        estimator = self.family.build(
            {**self.family.defaults("regression"), **self._few("regression")}, "regression", 1, 1
        )
        conditions = Conditions(metric="mae", monotone=[1, 0, 0, 0, 0, 0])
        fitted = self.family.fit(estimator, Rows(rows.values, target), conditions)
        line = np.repeat(rows.values[:20], 30, axis=0)
        line[:, 0] = np.tile(np.linspace(-3, 3, 30), 20)
        assert np.diff(outputs_of(fitted, line).reshape(20, 30), axis=1).min() > -1e-6

    def _few(self, task: str) -> Params:
        return {"rounds": 60} if "rounds" in self.family.defaults(task) else {}


class BoostedContract(MonotoneContract):
    """For families that grow in rounds and stop early: ``class TestMine(BoostedContract): family = Mine()``."""

    family: Boosted
    exact: bool = True
    """Whether it grows the same trees with held rows and without."""

    def test_it_stops_at_the_best_round_and_answers_with_it(self, task: str) -> None:
        rows, params = drawn(task, 500), self.family.defaults(task)
        fit, held = part(rows, 0, 300), part(rows, 300, 500)
        stopped = self.fitted(task, fit, params, held=held, seconds=None)
        kept = self.family.rounds_of(stopped)
        assert 1 < kept < self.family.most_rounds
        again, longer = (
            self.fitted(task, fit, {**params, "rounds": rounds}, brief=False) for rounds in (kept, kept + 12)
        )
        if self.exact:
            np.testing.assert_allclose(outputs_of(stopped, held.values), outputs_of(again, held.values), atol=1e-5)
        sign = 1 if task == "binary" else -1
        best, same, later = (
            sign * score(METRICS[task], held.target, outputs_of(one, held.values)) for one in (stopped, again, longer)
        )
        assert best == pytest.approx(same, abs=1e-6 if self.exact else 0.02)
        assert best >= later - (ENOUGH * abs(best) + 1e-6 if self.exact else 0.02)

    def test_what_cannot_be_learnt_ends_soon(self, task: str) -> None:
        rows = drawn(task, 500)
        noise = Rows(rows.values, np.random.default_rng(1).permutation(rows.target))
        estimator = self.fitted(task, part(noise, 0, 300), held=part(noise, 300, 500))
        assert self.family.rounds_of(estimator) < 300

    def test_the_time_ends_the_rounds_even_without_held_rows(self, task: str) -> None:
        rows = drawn(task, 3000, 20)
        estimator = self.fitted(task, rows, brief=False, seconds=0.2)
        assert 1 <= self.family.rounds_of(estimator) < self.family.most_rounds

    def test_the_objective_follows_the_metric(self) -> None:
        """Two fifths of the rows lie far above the others: the median ignores by how much, the mean does not."""
        rng = np.random.default_rng(0)
        target = np.where(rng.random(600) < 0.4, 100.0, rng.normal(size=600))
        rows = Rows(np.tile(np.float32([[0, 0], [1, 1]]), (300, 1)), target)
        answers = {}
        for metric in ("rmse", "mae"):
            estimator = self.family.build({**self.family.defaults("regression"), "rounds": 300}, "regression", 0, 1)
            fitted = self.family.fit(estimator, rows, Conditions(metric=metric))
            answers[metric] = float(outputs_of(fitted, rows.values[:1])[0])
        assert answers["rmse"] == pytest.approx(target.mean(), abs=5)
        assert answers["mae"] == pytest.approx(np.median(target), abs=5)
