"""Sample sizes and powers, held against statsmodels and against published figures."""

from __future__ import annotations

import pytest

from include.experiments.design import means_power, means_sample_size, proportions_power, proportions_sample_size

reference = pytest.importorskip("statsmodels.stats.power")
effect_size = pytest.importorskip("statsmodels.stats.proportion").proportion_effectsize


@pytest.mark.parametrize("n", [20, 100, 1500])
@pytest.mark.parametrize("ratio", [1.0, 0.25, 3.0])
@pytest.mark.parametrize(("base", "changed"), [(0.01, 0.03), (0.2, 0.15), (0.5, 0.9)])
def test_power_of_proportions_is_that_of_statsmodels(n, ratio, base, changed):
    expected = reference.NormalIndPower().power(effect_size(base, changed), n, 0.05, ratio)
    assert proportions_power(base, changed, n, 0.05, ratio) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [5, 40, 400])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
@pytest.mark.parametrize("effect", [-0.2, 0.3, 1.1])
def test_power_of_means_is_that_of_statsmodels(n, ratio, effect):
    expected = reference.TTestIndPower().power(effect, n, 0.05, ratio)
    assert means_power(effect, n, 0.05, ratio) == pytest.approx(expected, rel=1e-6)


def test_sample_sizes_of_cohens_tables():
    """Cohen 1988, table 2.4.1: d = 0.2, 0.5, 0.8 at alpha 0.05 (two-sided), power 0.8 need 393 (393.4), 64, 26 an arm."""
    assert [means_sample_size(d) for d in (0.2, 0.5, 0.8)] == [394, 64, 26]


@pytest.mark.parametrize(("base", "changed", "ratio"), [(0.01, 0.03, 1.0), (0.1, 0.12, 2.0), (0.4, 0.6, 0.5)])
def test_sample_size_is_the_smallest_that_reaches_the_power(base, changed, ratio):
    n = proportions_sample_size(base, changed, 0.01, 0.9, ratio)
    assert (
        proportions_power(base, changed, n, 0.01, ratio) >= 0.9 > proportions_power(base, changed, n - 1, 0.01, ratio)
    )


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(ValueError, match="equal"):
        proportions_sample_size(0.1, 0.1)
    with pytest.raises(ValueError, match="effect is 0"):
        means_sample_size(0.0)
    with pytest.raises(ValueError, match="not a proportion"):
        proportions_power(0.1, 1.2, 10)
    with pytest.raises(ValueError, match="power"):
        means_sample_size(0.5, power=1.0)
    with pytest.raises(ValueError, match="too small"):
        means_sample_size(1e-9)
