"""Plan an experiment before it begins: how many observations each arm needs, and what a given number can show.

These are the classical, fixed-sample figures for a test that is looked at once: proportions by the normal approximation
on the arcsine scale, means by the noncentral t distribution (Cohen 1988, "Statistical Power Analysis for the Behavioral
Sciences", chapters 6 and 2). `include.experiments.sequential` may be looked at all the time and needs more.
"""

from __future__ import annotations

from collections.abc import Callable
from math import asin, sqrt
from statistics import NormalDist

_MOST = 10**9


def proportions_power(base: float, changed: float, n: int, alpha: float = 0.05, ratio: float = 1.0) -> float:
    """Return the probability that a two-sided test tells ``changed`` from ``base``.

    Args:
        base: proportion of arm a.
        changed: proportion of arm b.
        n: observations of arm a.
        alpha: probability of a false alarm.
        ratio: observations of arm b for each one of arm a.

    Raises:
        ValueError: a proportion or alpha is not within [0, 1], or n or ratio is not positive.
    """
    _check(alpha, n, ratio)
    effect = _arcsine(changed) - _arcsine(base)
    return _normal_power(effect * sqrt(n * ratio / (1 + ratio)), alpha)


def proportions_sample_size(
    base: float, changed: float, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0
) -> int:
    """Return the observations of arm a with which a two-sided test tells ``changed`` from ``base`` with ``power``.

    Arm b needs ``ratio`` times as many.

    Raises:
        ValueError: the proportions are equal, or an argument is out of range.

    Examples:
        >>> proportions_sample_size(0.01, 0.03)
        719
    """
    if base == changed:
        raise ValueError("the two proportions are equal: no number of observations tells them apart")
    return _smallest(lambda n: proportions_power(base, changed, n, alpha, ratio), power)


def means_power(effect: float, n: int, alpha: float = 0.05, ratio: float = 1.0) -> float:
    """Return the probability that a two-sided t-test shows a difference of ``effect`` standard deviations.

    Args:
        effect: difference of the means divided by the common standard deviation (Cohen's d).
        n: observations of arm a, at least 2.
        alpha: probability of a false alarm.
        ratio: observations of arm b for each one of arm a.

    Raises:
        ValueError: alpha is not within (0, 1), or n or ratio is too small.
    """
    from scipy.stats import nct, t

    _check(alpha, n, ratio)
    freedom = n + n * ratio - 2
    if freedom <= 0:
        raise ValueError(f"{n} observations are too few for a t-test; give at least 2 an arm")
    shift = abs(effect) * sqrt(n * ratio / (1 + ratio))
    critical = t.isf(alpha / 2, freedom)
    return float(nct.sf(critical, freedom, shift) + nct.cdf(-critical, freedom, shift))


def means_sample_size(effect: float, alpha: float = 0.05, power: float = 0.8, ratio: float = 1.0) -> int:
    """Return the observations of arm a with which a two-sided t-test shows ``effect`` (Cohen's d) with ``power``.

    Raises:
        ValueError: the effect is 0, or an argument is out of range.

    Examples:
        >>> means_sample_size(0.5)
        64
    """
    if effect == 0:
        raise ValueError("the effect is 0: no number of observations shows it")
    return _smallest(lambda n: means_power(effect, n, alpha, ratio), power, least=2)


def _check(alpha: float, n: int, ratio: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; give a probability between 0 and 1, such as 0.05")
    if n < 1 or ratio <= 0:
        raise ValueError(f"n is {n} and ratio is {ratio}; both must be positive")


def _arcsine(proportion: float) -> float:
    """Return the variance-stabilising transform of a proportion; differences of it are Cohen's h."""
    if not 0 <= proportion <= 1:
        raise ValueError(f"{proportion} is not a proportion; give a number between 0 and 1")
    return 2 * asin(sqrt(proportion))


def _normal_power(shift: float, alpha: float) -> float:
    normal = NormalDist()
    critical = normal.inv_cdf(1 - alpha / 2)
    return normal.cdf(abs(shift) - critical) + normal.cdf(-abs(shift) - critical)


def _smallest(power_of: Callable[[int], float], power: float, least: int = 1) -> int:
    """Return the smallest n whose power reaches ``power``; power grows with n."""
    if not 0 < power < 1:
        raise ValueError(f"power is {power}; give a probability between 0 and 1, such as 0.8")
    low, high = least - 1, least
    while power_of(high) < power:
        low, high = high, high * 2
        if high > _MOST:
            raise ValueError("the difference is too small: more than a billion observations are needed")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return high
