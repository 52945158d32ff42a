"""What every runtime must satisfy: subclass, and give the fixture ``case``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from include.inference.scorer import Row, Scorer
from include.store.packages import Manifest


@dataclass(frozen=True)
class Case:
    """A scorer, and what it must answer.

    Attributes:
        rows: real rows of the manifest's columns, at least twenty.
        expected: the reference: rows to scores, shaped as `Scorer.score` gives them.
        tolerance: largest difference of a score.
    """

    scorer: Scorer
    manifest: Manifest
    rows: Sequence[Row]
    expected: Callable[[Sequence[Row]], np.ndarray]
    tolerance: float = 1e-5


class ScorerContract:
    """Subclass it as ``class TestMine(ScorerContract)`` with a fixture ``case`` that returns a `Case`."""

    @pytest.fixture
    def case(self) -> Case:
        raise NotImplementedError("give the fixture 'case'")

    def test_it_has_the_name_by_which_it_is_found(self, case: Case) -> None:
        from include.inference.runtimes import find_runtime

        assert find_runtime(case.scorer.name) is type(case.scorer)

    def test_it_answers_as_the_reference_does(self, case: Case) -> None:
        scores = case.scorer.score(case.rows)
        np.testing.assert_allclose(scores, case.expected(case.rows), rtol=case.tolerance, atol=case.tolerance)
        assert len(np.unique(scores)) > 1, "rows of one and the same answer test nothing"

    def test_scores_are_float64_of_the_manifests_shape(self, case: Case) -> None:
        scores = case.scorer.score(case.rows)
        classes = case.manifest.classes
        assert scores.dtype == np.float64
        assert scores.shape == ((len(case.rows),) if classes is None else (len(case.rows), len(classes)))
        if classes is not None:
            np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)

    def test_one_row_gets_the_scores_that_it_gets_in_a_batch(self, case: Case) -> None:
        batch = case.scorer.score(case.rows)
        for row, expected in zip(case.rows, batch, strict=True):
            scores = case.scorer.score_one(row)
            assert isinstance(scores, list)
            assert all(type(score) is float for score in scores)
            np.testing.assert_allclose(scores, np.atleast_1d(expected), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("times", [0, 1, 20])
    def test_batches_of_any_size(self, case: Case, times: int) -> None:
        rows = [*case.rows, *case.rows] * times
        scores = case.scorer.score(rows)
        assert scores.shape == (len(rows), *case.scorer.score(case.rows[:1]).shape[1:])
        once = case.scorer.score(case.rows)
        np.testing.assert_allclose(scores, np.concatenate([once, once] * times or [once[:0]]), rtol=1e-5, atol=1e-6)

    def test_nothing_that_it_answered_changes_later(self, case: Case) -> None:
        scores = case.scorer.score(case.rows)
        before = scores.copy()
        one = case.scorer.score_one(case.rows[0])
        first = list(one)
        case.scorer.score(case.rows[::-1])
        for row in case.rows[:10]:
            case.scorer.score_one(row)
        np.testing.assert_array_equal(scores, before)
        assert one == first

    def test_threads_do_not_disturb_each_other(self, case: Case) -> None:
        expected = case.scorer.score(case.rows)

        def ask(seed: int) -> None:
            order = np.random.default_rng(seed).permutation(len(case.rows))
            for index in order[:15]:
                one = case.scorer.score_one(case.rows[index])
                np.testing.assert_allclose(one, np.atleast_1d(expected[index]), rtol=1e-5, atol=1e-6)
            scores = case.scorer.score([case.rows[index] for index in order])
            np.testing.assert_allclose(scores, expected[order], rtol=1e-5, atol=1e-6)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(ask, range(16)))
