"""The tests that monitors rest on, held against scipy, hand computation and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from include.monitoring.statistics import (
    categorical_psi,
    category_table,
    homogeneity_p_value,
    ks_p_value,
    numeric_psi,
    rise_p_value,
)


def test_ks_is_that_of_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 300), rng.normal(0.2, 1, 120)
    assert ks_p_value(a, b) == stats.ks_2samp(a, b).pvalue


def test_homogeneity_is_that_of_a_contingency_table():
    a, b = pd.Series(list("x" * 60 + "y" * 30 + "z" * 10)), pd.Series(list("x" * 40 + "y" * 50 + "z" * 10))
    expected = stats.chi2_contingency([[60, 30, 10], [40, 50, 10]], correction=False).pvalue
    assert homogeneity_p_value(a, b) == pytest.approx(expected)


def test_one_unseen_category_is_no_certain_drift():
    a = pd.Series(["x"] * 150 + ["y"] * 150)
    b = pd.Series(["x"] * 75 + ["y"] * 74 + ["new"])
    assert homogeneity_p_value(a, b) > 0.3
    assert homogeneity_p_value(a, pd.Series(["x"] * 60 + ["y"] * 60 + ["new"] * 30)) < 1e-6


def test_rare_categories_are_pooled_and_no_row_is_lost():
    rng = np.random.default_rng(0)
    a, b = (pd.Series(rng.integers(0, 500, rows).astype(str)) for rows in (1000, 200))
    table = category_table(a, b)
    assert table.sum(axis=1).tolist() == [1000, 200]
    assert 20 < table.shape[1] < 60
    assert (table.sum(axis=0) * 200 / 1200 >= 5).all()
    assert homogeneity_p_value(a, b) > 0.01


def test_a_single_category_is_no_drift():
    same = pd.Series(["x"] * 100)
    assert homogeneity_p_value(same, same) == 1.0
    assert categorical_psi(same, same) == 0.0


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.7, 0.2, 0.1), (0.96, 0.01, 0.01, 0.01, 0.01)])
def test_homogeneity_holds_its_level_where_a_known_reference_would_not(shares):
    """Both samples are drawn from one population; the goodness-of-fit test takes the drawn reference for the truth."""
    rng, runs = np.random.default_rng(2), 300
    ours = theirs = 0
    for _ in range(runs):
        a, b = (rng.multinomial(250, shares) for _ in range(2))
        samples = [pd.Series(np.repeat(np.arange(len(shares)), counts)) for counts in (a, b)]
        ours += homogeneity_p_value(*samples) <= 0.05
        if (a > 0).all():
            theirs += stats.chisquare(b, a).pvalue <= 0.05
    assert ours <= stats.binom.ppf(0.999, runs, 0.05)
    assert theirs > stats.binom.ppf(0.999, runs, 0.05)


def test_psi_by_hand():
    """Shares 0.5/0.3/0.2 → 0.3/0.3/0.4: (−0.2)ln(0.6) + 0.2 ln 2 = 0.2408; the half counts vanish with many rows."""
    a = pd.Series(np.repeat(["x", "y", "z"], [50_000, 30_000, 20_000]))
    b = pd.Series(np.repeat(["x", "y", "z"], [30_000, 30_000, 40_000]))
    assert categorical_psi(a, b) == pytest.approx(-0.2 * np.log(0.6) + 0.2 * np.log(2), abs=1e-4)


def test_psi_of_numbers_is_that_of_deciles():
    """A normal population moved by d: the index over ever finer cells is d², and a little less over ten."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 200_000), rng.normal(0.5, 1, 200_000)
    assert 0.8 * 0.25 < numeric_psi(a, b) < 0.25
    assert numeric_psi(a, a) == 0.0


def test_psi_stays_finite_where_a_cell_is_empty():
    a, b = np.arange(100.0), np.full(50, 1e9)
    assert np.isfinite(numeric_psi(a, b))
    assert numeric_psi(a, b) > 1
    assert np.isfinite(numeric_psi(np.zeros(50), np.arange(50.0)))


def test_rise_is_fishers_exact_test():
    expected = stats.fisher_exact([[9, 91], [4, 196]], alternative="greater").pvalue
    assert rise_p_value(4, 200, 9, 100) == pytest.approx(expected)
    assert rise_p_value(0, 200, 0, 100) == 1.0
