"""What every algorithm family must satisfy: subclass, and give ``family``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from include.automl.bench import outputs_of
from include.automl.families import Family
from include.evaluation.metrics import score
from include.specs.training import TASKS
from include.store.packages import TRUSTED


class FamilyContract:
    """Subclass it as ``class TestMine(FamilyContract): family = Mine()``."""

    family: Family

    @pytest.fixture(params=TASKS)
    def task(self, request: pytest.FixtureRequest) -> str:
        if request.param not in self.family.tasks:
            pytest.skip(f"{self.family.name} does not learn {request.param}")
        return request.param

    @pytest.fixture
    def rows(self, task: str) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(400, 6)).astype(np.float32)
        signal = x[:, 0] + 0.5 * x[:, 1] * x[:, 1] + rng.normal(scale=0.1, size=400)
        if task == "regression":
            return x, signal
        return x, np.digitize(signal, np.quantile(signal, [0.5] if task == "binary" else [0.33, 0.66]))

    def asked(self, task: str, seed: int = 0) -> dict[str, object]:
        import optuna

        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        return self.family.sample(study.ask(), task)

    def test_its_file_bears_its_name(self) -> None:
        assert type(self.family).__module__.endswith(f".{self.family.name}")

    def test_defaults_lie_in_the_space(self, task: str) -> None:
        import optuna

        defaults = self.family.defaults(task)
        study = optuna.create_study()
        study.enqueue_trial(defaults)
        assert self.family.sample(study.ask(), task) == defaults
        trial = study.trials[0]
        for name, distribution in trial.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(defaults[name])), name

    def test_configurations_survive_json(self, task: str) -> None:
        for seed in range(3):
            drawn = self.asked(task, seed)
            assert json.loads(json.dumps(drawn)) == drawn
            assert drawn.keys() == self.family.defaults(task).keys()

    def test_it_learns(self, task: str, rows: tuple[np.ndarray, np.ndarray]) -> None:
        x, y = rows
        for params in (self.family.defaults(task), self.asked(task)):
            estimator = self.family.build(params, task, seed=1, threads=1).fit(x[:300], y[:300])
            outputs = outputs_of(estimator, x[300:])
            assert np.isfinite(outputs).all()
            assert outputs.shape == ((100, 3) if task == "multiclass" else (100,))
        estimator = self.family.build(self.family.defaults(task), task, seed=1, threads=1).fit(x[:300], y[:300])
        if task == "regression":
            assert score("r2", y[300:], outputs_of(estimator, x[300:])) > 0.2
        else:
            assert score("accuracy", y[300:], outputs_of(estimator, x[300:])) > 1.5 / len(np.unique(y))

    def test_the_same_seed_gives_the_same_model(self, task: str, rows: tuple[np.ndarray, np.ndarray]) -> None:
        params = self.asked(task, seed=4)
        first, second = (outputs_of(self.family.build(params, task, 3, 1).fit(*rows), rows[0]) for _ in range(2))
        np.testing.assert_allclose(first, second, atol=1e-6)

    def test_it_is_saved_without_pickle_and_comes_back_equal(
        self, task: str, rows: tuple[np.ndarray, np.ndarray]
    ) -> None:
        import skops.io

        estimator = self.family.build(self.family.defaults(task), task, seed=1, threads=1).fit(*rows)
        estimator = self.family.for_serving(estimator)
        kept = skops.io.dumps(estimator)
        types = skops.io.get_untrusted_types(data=kept)
        assert [name for name in types if not name.startswith(TRUSTED)] == []
        again = skops.io.loads(kept, trusted=types)
        np.testing.assert_allclose(outputs_of(again, rows[0]), outputs_of(estimator, rows[0]), atol=1e-6)
        assert getattr(again, "n_jobs", 1) == 1
