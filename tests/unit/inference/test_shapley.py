"""Shapley values by sampling: exact where a model only adds, close to all orders where it does not, always complete."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from include.inference.explain import load_explainer
from include.inference.scorer import Row, Scorer
from include.inference.shapley import MOST_ROWS, Sampled
from include.specs.training import Task
from include.store.packages import save_package
from tests.unit.inference.tables import FIELDS, fitted, mixed_rows, strange_rows


class Formula(Scorer):
    """Values of a formula; counts the rows of its largest batch."""

    name = "formula"

    def __init__(self, multiplies: bool = False) -> None:
        self.multiplies, self.largest = multiplies, 0

    @classmethod
    def open(cls, folder: Path, manifest: object, device: str = "cpu") -> Formula:
        raise NotImplementedError

    def score(self, rows: Sequence[Row]) -> np.ndarray:
        self.largest = max(self.largest, len(rows))
        table = np.array(rows, dtype=float)
        if self.multiplies:
            return table[:, 0] * table[:, 1] + np.maximum(table[:, 1], table[:, 2]) ** 2
        return table @ np.arange(1.0, table.shape[1] + 1)


def test_a_sum_is_taken_apart_exactly() -> None:
    base, parts = Sampled(Formula(), (1.0, 2.0, 3.0), False)([(2.0, 2.0, 5.0), (0.0, 1.0, 3.0)])
    assert base.tolist() == [14.0]
    np.testing.assert_allclose(parts[:, :, 0], [[1, 0, 6], [-1, -2, 0]])


def test_interactions_come_close_to_the_mean_over_all_orders() -> None:
    scorer, reference = Formula(multiplies=True), (0.5, 1.0, -1.0)
    rng = np.random.default_rng(0)
    rows = [tuple(row) for row in rng.normal(scale=2, size=(40, 3)).tolist()]
    _, found = Sampled(scorer, reference, False)(rows)
    exact = np.zeros((len(rows), 3))
    for number, row in enumerate(rows):
        for order in permutations(range(3)):
            values, before = list(reference), scorer.score([reference])[0]
            for place in order:
                values[place] = row[place]
                after = scorer.score([tuple(values)])[0]
                exact[number, place] += (after - before) / 6
                before = after
    assert np.abs(found[:, :, 0] - exact).max() < 0.1 * np.abs(exact).max()


def test_batches_stay_bounded() -> None:
    scorer = Formula()
    Sampled(scorer, (0.0,) * 400, False)([(1.0,) * 400])
    assert scorer.largest == MOST_ROWS


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_models_without_an_explanation_of_their_own_are_sampled(tmp_path: Path, task: Task) -> None:
    model = KNeighborsRegressor(5) if task == "regression" else KNeighborsClassifier(5)
    package = fitted(model, task, scale=True)
    typical = [one if one == one else None for one in mixed_rows(50)[7]]
    shown = [value.isoformat() if hasattr(value, "isoformat") else value for value in typical]
    features = tuple(field.model_copy(update={"typical": value}) for field, value in zip(FIELDS, shown, strict=True))
    package = type(package)(package.manifest.model_copy(update={"features": features}), package.estimator)
    save_package(tmp_path, package)
    rows = [*mixed_rows(6, seed=3), *strange_rows()[:3]]
    explained = load_explainer(tmp_path, package.manifest).explain(rows)
    assert explained.space == ("value" if task == "regression" else "probability")
    assert explained.contributions.shape == (len(rows), len(FIELDS), 3 if task == "multiclass" else 1)
    from include.inference.load import load_scorer

    scores = load_scorer(tmp_path, package.manifest).score(rows)
    answers = scores[:, None] if task == "regression" else scores[:, 1:] if task == "binary" else scores
    np.testing.assert_allclose(explained.base + explained.contributions.sum(axis=1), answers, atol=1e-9)
