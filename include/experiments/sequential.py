"""Compare two proportions while the data come in: valid however often one looks, and whenever one stops.

Two versions answer requests; an unknown share of each arm's answers are errors (or positives). A fixed-sample test
looked at after every request raises a false alarm sooner or later. Here the evidence is a *test martingale*: the
probability that it is ever misleading is at most ``alpha``, over the whole release and for any number of looks (Ville's
inequality).

For one arm with ``s`` successes in ``n`` and a true proportion ``p``, mixing the likelihood over Jeffreys' prior gives

    M(p) = B(s + ½, n - s + ½) / B(½, ½) / (p^s (1-p)^(n-s)),

the beta-binomial mixture (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", section 3). The product of both arms' martingales is one too, whatever the share of
traffic each arm gets and however that share changes meanwhile. A difference ``d`` is rejected when *every* pair
``(p, p + d)`` is, so the evidence against it is the smallest product over ``p`` (Wasserman, Ramdas & Balakrishnan 2020,
"Universal inference"; Turner & Grünwald 2023, "Exact anytime-valid confidence intervals for contingency tables and
beyond"). No step of this is asymptotic: it holds from the first request on, and with no errors at all. The price is
width: the interval is two to three times as wide as that of a test that is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, lgamma, log, pi

_HALVINGS = 60
_TINY = 1e-300


@dataclass(frozen=True)
class Comparison:
    """How arm b (challenger) differs from arm a (champion).

    Attributes:
        difference: observed proportion of b minus that of a; 0 while an arm is empty.
        low: lower end of the always-valid confidence interval of the difference.
        high: upper end.
        p_value: always-valid p-value of "no difference" (two-sided).
        alpha: probability that the interval ever misses the true difference.
    """

    difference: float
    low: float
    high: float
    p_value: float
    alpha: float

    @property
    def surely_different(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class _Arm:
    successes: int
    failures: int

    @property
    def total(self) -> int:
        return self.successes + self.failures

    @property
    def rate(self) -> float:
        return self.successes / self.total if self.total else 0.0

    def log_likelihood(self, p: float) -> float:
        """Return the log-likelihood of ``p``; impossible data give a very small number rather than an error."""
        value = self.successes * log(max(p, _TINY)) if self.successes else 0.0
        return value + (self.failures * log(max(1.0 - p, _TINY)) if self.failures else 0.0)

    def score(self, p: float) -> float:
        """Return the slope of the log-likelihood at ``p``."""
        value = self.successes / max(p, _TINY) if self.successes else 0.0
        return value - (self.failures / max(1.0 - p, _TINY) if self.failures else 0.0)

    def log_mixture(self) -> float:
        """Return the log of the likelihood mixed over Beta(½, ½)."""
        if not self.total:
            return 0.0
        return lgamma(self.successes + 0.5) + lgamma(self.failures + 0.5) - lgamma(self.total + 1.0) - log(pi)


def compare_proportions(successes_a: int, n_a: int, successes_b: int, n_b: int, alpha: float = 0.05) -> Comparison:
    """Compare arm b with arm a after ``n_a`` and ``n_b`` trials; call it as often as you like.

    Over the whole life of the comparison the interval misses the true difference with probability at most ``alpha``.

    Args:
        successes_a: errors, or positives, of arm a (the champion), counted since the comparison began.
        n_a: trials of arm a.
        successes_b: the same of arm b (the challenger).
        n_b: trials of arm b.
        alpha: probability of a false conclusion, over all looks together.

    Raises:
        ValueError: a count is negative, there are more successes than trials, or alpha is not within (0, 1).

    Examples:
        >>> compare_proportions(2, 1000, 40, 1000, alpha=0.05).surely_different
        True
        >>> compare_proportions(0, 0, 0, 0).p_value
        1.0
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; give a probability between 0 and 1, such as 0.05")
    a, b = _arm(successes_a, n_a, "a"), _arm(successes_b, n_b, "b")
    estimate = b.rate - a.rate if a.total and b.total else 0.0

    def rejected(difference: float) -> bool:
        return _log_evidence(a, b, difference) >= -log(alpha)

    low = _edge(rejected, estimate, -1.0)
    high = _edge(rejected, estimate, 1.0)
    return Comparison(estimate, low, high, always_valid_p_value(successes_a, n_a, successes_b, n_b), alpha)


def always_valid_p_value(successes_a: int, n_a: int, successes_b: int, n_b: int, difference: float = 0.0) -> float:
    """Return the p-value of "b's proportion is a's plus ``difference``"; at any time of stopping it is a valid one.

    Under that hypothesis the probability that it ever falls to ``alpha`` or below is at most ``alpha``. It is at most
    ``alpha`` exactly when the interval of `compare_proportions` excludes ``difference``.

    Raises:
        ValueError: a count is negative, there are more successes than trials, or the difference is not within [-1, 1].
    """
    if not -1 <= difference <= 1:
        raise ValueError(f"a difference of {difference} is not one of two proportions; give one between -1 and 1")
    evidence = _log_evidence(_arm(successes_a, n_a, "a"), _arm(successes_b, n_b, "b"), difference)
    return min(1.0, exp(-evidence))


def _arm(successes: int, trials: int, name: str) -> _Arm:
    if not 0 <= successes <= trials:
        raise ValueError(f"arm {name} has {successes} successes in {trials} trials; count both since the same moment")
    return _Arm(successes, trials - successes)


def _log_evidence(a: _Arm, b: _Arm, difference: float) -> float:
    """Return the log of the test martingale against ``difference``: the smallest one over the nuisance proportion."""
    p = _likeliest(a, b, difference)
    return a.log_mixture() + b.log_mixture() - a.log_likelihood(p) - b.log_likelihood(p + difference)


def _likeliest(a: _Arm, b: _Arm, difference: float) -> float:
    """Return a's proportion that makes both arms likeliest when b's is that plus ``difference``.

    The log-likelihood is concave along this line, so its slope has one sign change.
    """
    if difference == 0.0 and a.total + b.total:
        return (a.successes + b.successes) / (a.total + b.total)
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    for _ in range(_HALVINGS):
        p = (low + high) / 2
        if a.score(p) + b.score(p + difference) > 0:
            low = p
        else:
            high = p
    return (low + high) / 2


def _edge(rejected: Callable[[float], bool], inside: float, limit: float) -> float:
    """Return the end of the interval between ``inside`` and ``limit``; the set of differences kept is convex."""
    if not rejected(limit):
        return limit
    outside = limit
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return outside
