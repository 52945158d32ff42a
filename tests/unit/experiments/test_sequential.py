"""The always-valid comparison: exact where a formula is known, and held to its false-alarm rate by simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from include.experiments.sequential import always_valid_p_value, compare_proportions

ALPHA = 0.05


def first_alarm(rng: np.random.Generator, rate_a: float, rate_b: float, share_b: float, n: int, shift: float) -> int:
    """Return the number of requests at the first false conclusion, looking after every request; n when there is none."""
    in_b = rng.random(n) < share_b
    success = rng.random(n) < np.where(in_b, rate_b, rate_a)
    counts = np.cumsum([~in_b & success, ~in_b, in_b & success, in_b], axis=1).T.tolist()
    for look, count in enumerate(counts):
        if always_valid_p_value(*count, difference=shift) <= ALPHA:
            return look
    return n


@pytest.mark.parametrize(
    ("rate_a", "rate_b", "share_b"),
    [(0.0, 0.0, 0.1), (0.02, 0.02, 0.1), (0.02, 0.02, 0.5), (0.3, 0.3, 0.5), (0.1, 0.15, 0.5)],
)
def test_no_more_false_alarms_than_alpha_when_one_looks_after_every_request(rate_a, rate_b, share_b):
    rng, runs, n = np.random.default_rng(11), 100, 400
    shift = rate_b - rate_a
    alarms = sum(first_alarm(rng, rate_a, rate_b, share_b, n, shift) < n for _ in range(runs))
    assert alarms <= stats.binom.ppf(0.999, runs, ALPHA)


def test_a_fixed_sample_test_would_not_survive_the_same_peeking():
    """Guards the test above: the simulation is harsh enough to break a test that is not made for peeking."""
    rng, runs, n, alarms = np.random.default_rng(11), 120, 400, 0
    for _ in range(runs):
        a, b = np.cumsum(rng.random((2, n)) < 0.3, axis=1)
        looks = np.arange(1, n + 1)
        pooled = (a + b) / (2 * looks)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = (b - a) / looks / np.sqrt(pooled * (1 - pooled) * 2 / looks)
        alarms += bool((np.abs(z[20:]) > stats.norm.isf(ALPHA / 2)).any())
    assert alarms > stats.binom.ppf(0.999, runs, ALPHA)


def test_a_bad_challenger_is_found_within_a_reasonable_number_of_requests():
    rng = np.random.default_rng(5)
    found = [first_alarm(rng, 0.01, 0.3, 0.1, 1500, 0.0) for _ in range(30)]
    assert np.median(found) < 300  # 30 requests of the challenger
    assert max(found) < 1500


def test_the_evidence_is_that_of_a_slow_reference():
    """Numerical integration of the mixture, and numerical search for the nuisance proportion."""

    def evidence(sa, na, sb, nb, d):
        def mixed(s, n):  # with p = sin² u, Jeffreys' prior is uniform over u
            return integrate.quad(
                lambda u: np.sin(u) ** (2 * s) * np.cos(u) ** (2 * (n - s)) * 2 / np.pi, 0, np.pi / 2
            )[0]

        def negative(p):
            q = p + d
            return -(p**sa * (1 - p) ** (na - sa) * q**sb * (1 - q) ** (nb - sb))

        found = optimize.minimize_scalar(
            negative, bounds=(max(0, -d), min(1, 1 - d)), method="bounded", options={"xatol": 1e-10}
        )
        return mixed(sa, na) * mixed(sb, nb) / -found.fun

    for counts in [(3, 12, 9, 14), (0, 10, 5, 9), (7, 15, 7, 15)]:
        for d in (-0.2, 0.1, 0.4):
            assert always_valid_p_value(*counts, difference=d) == pytest.approx(
                min(1, 1 / evidence(*counts, d)), rel=1e-6
            )


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5])
def test_a_small_p_value_is_as_rare_as_it_says(p):
    """Exact, by enumerating every outcome of 12 and 30 trials: P(p-value <= x) <= x for each x that can occur."""
    n_a, n_b = 12, 30
    outcomes = sorted(
        (always_valid_p_value(a, n_a, b, n_b), stats.binom.pmf(a, n_a, p) * stats.binom.pmf(b, n_b, p))
        for a in range(n_a + 1)
        for b in range(n_b + 1)
    )
    cumulated = np.cumsum([probability for _, probability in outcomes])
    values = np.array([value for value, _ in outcomes])
    assert cumulated[-1] == pytest.approx(1)
    assert (cumulated <= values + 1e-12)[values < 1].all()


def test_the_interval_is_at_most_three_times_as_wide_as_one_that_is_looked_at_once():
    result = compare_proportions(500, 10_000, 800, 10_000, ALPHA)
    wald = 2 * stats.norm.isf(ALPHA / 2) * np.sqrt((0.05 * 0.95 + 0.08 * 0.92) / 10_000)
    assert wald < result.high - result.low < 3 * wald


counts = st.tuples(st.integers(0, 400), st.integers(0, 400), st.integers(0, 400), st.integers(0, 400)).map(
    lambda c: (c[0], c[0] + c[1], c[2], c[2] + c[3])
)


@settings(max_examples=60, deadline=None)
@given(counts, st.sampled_from([0.01, 0.05, 0.2]))
def test_interval_and_p_value_agree(count, alpha):
    result = compare_proportions(*count, alpha=alpha)
    assert -1 <= result.low <= result.difference <= result.high <= 1
    assert (result.p_value <= alpha) == result.surely_different
    for end in (result.low, result.high):
        assert abs(end) == 1 or always_valid_p_value(*count, difference=end) == pytest.approx(alpha, rel=1e-4)


@settings(max_examples=60, deadline=None)
@given(counts)
def test_swapping_the_arms_mirrors_the_answer(count):
    sa, na, sb, nb = count
    there, back = compare_proportions(sa, na, sb, nb), compare_proportions(sb, nb, sa, na)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert there.p_value == pytest.approx(back.p_value)


def test_more_errors_of_the_challenger_raise_the_interval():
    results = [compare_proportions(2, 200, errors, 60) for errors in range(61)]
    for earlier, later in pairwise(results):
        assert later.low >= earlier.low
        assert later.high >= earlier.high


def test_a_smaller_alpha_widens_the_interval():
    strict, loose = compare_proportions(5, 200, 20, 200, 0.01), compare_proportions(5, 200, 20, 200, 0.1)
    assert strict.low < loose.low
    assert strict.high > loose.high


def test_nothing_seen_says_nothing():
    assert compare_proportions(0, 0, 0, 0) == compare_proportions(0, 0, 0, 0, 0.05)
    empty = compare_proportions(0, 0, 0, 0)
    assert (empty.difference, empty.low, empty.high, empty.p_value) == (0, -1, 1, 1)
    one_arm = compare_proportions(3, 50, 0, 0)
    assert one_arm.difference == 0
    assert not one_arm.surely_different


def test_no_errors_on_either_side_bounds_the_difference():
    result = compare_proportions(0, 900, 0, 100)
    assert not result.surely_different
    assert result.high < 0.1


@pytest.mark.parametrize("wrong", [(-1, 5, 0, 5), (6, 5, 0, 5), (0, 5, 9, 5), (0, -1, 0, 5)])
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(ValueError, match="successes in"):
        compare_proportions(*wrong)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1])
def test_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        compare_proportions(1, 5, 1, 5, alpha)


def test_impossible_difference_is_refused():
    with pytest.raises(ValueError, match="difference"):
        always_valid_p_value(1, 5, 1, 5, difference=1.5)
