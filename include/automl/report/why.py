"""Why the model is the one it is, in words: against what came next, with an interval over the folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.automl.leaderboard import ranked
from include.automl.record import Record
from include.automl.result import SearchResult

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Lead:
    """By how much one model is better than another over the folds, in the metric's own unit.

    Attributes:
        mean: positive where the first one is better.
        low: lower bound of the interval; None with a single fold.
        high: upper bound.
    """

    mean: float
    low: float | None
    high: float | None

    @property
    def sure(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low is not None and self.low > 0


def lead(one: Sequence[float], other: Sequence[float], greater_is_better: bool, crossed: bool = True) -> Lead:
    """Return by how much ``one`` leads over ``other``, two models' scores of the same folds.

    The interval is that of the corrected resampled t-test (Nadeau and Bengio 2003, "Inference for the Generalization
    Error", Machine Learning 52): folds share training rows, so that the variance of their mean is that of K draws and
    n_held / n_fit more.

    Args:
        one: score of each fold.
        other: likewise.
        greater_is_better: of the metric.
        crossed: each row is held once, so that n_held / n_fit is 1 / (K - 1); otherwise the folds follow each other in
            time and a half is taken.
    """
    sign = 1.0 if greater_is_better else -1.0
    differences = sign * (np.asarray(one) - np.asarray(other))
    folds, mean = len(differences), float(differences.mean())
    if folds < 2:
        return Lead(mean, None, None)
    from scipy.stats import t

    shared = 1 / (folds - 1) if crossed else 0.5
    error = float(np.sqrt((1 / folds + shared) * differences.var(ddof=1)))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, folds - 1)) * error
    return Lead(mean, mean - reach, mean + reach)


def reasons(result: SearchResult, metric: str, greater_is_better: bool) -> list[str]:
    """Return sentences that say what the model is, and why."""
    done = [record for record in ranked(result.records, greater_is_better) if record.state == "done"]
    whole = [record for record in done if len(record.scores) == len(result.scores)] or [result.winner]
    best = whole[0]
    told = [_made_of(result, metric)]
    if len(result.members) > 1:
        found = lead(result.scores, best.scores, greater_is_better, result.bagged)
        told.append(
            f"Against the best single trial, {_named(best)}, the ensemble is {_told(found, metric)}. Its weights were "
            "chosen on these predictions, which flatters it a little; the held-out rows are the judge."
        )
    following = next((other for other in whole[1:] if other.configuration.family != best.configuration.family), None)
    if following is not None:
        found = lead(best.scores, following.scores, greater_is_better, result.bagged)
        told.append(
            f"Of the single trials {_named(best)} has the best mean over the folds ({best.mean:.4g}); the best one of "
            f"another family is {_named(following)} ({following.mean:.4g}). The first one is {_told(found, metric)}."
        )
    if result.calibration.knots:
        told.append("Its probabilities are mapped along a rising line, which made unseen folds' log loss better.")
    elif result.calibration.temperature != 1:
        told.append(
            f"Its probabilities are calibrated by a temperature of {result.calibration.temperature:.3g}, which made "
            "unseen folds' log loss better."
        )
    return [*told, *(f"{note[0].upper()}{note[1:]}." for note in result.notes)]


def _made_of(result: SearchResult, metric: str) -> str:
    how = "by the models of its folds" if result.bagged else "by a model that was fitted again on all rows"
    spread = f" ± {result.std:.2g}" if result.std is not None else ""
    folds = (
        f"{len(result.scores)} folds" if len(result.scores) > 1 else "a single fold, which is all there was time for"
    )
    score = f"{metric} {result.mean:.4g}{spread} over {folds}"
    if len(result.members) == 1:
        return f"The model is a single trial, {_named(result.winner)}: {score}. It answers {how}."
    shares = ", ".join(f"{_named(member.record)} ({member.weight:.0%})" for member in result.members)
    return f"The model is a weighted mean of {len(result.members)} trials: {shares}; {score}. Each answers {how}."


def _told(found: Lead, metric: str) -> str:
    words = "better" if found.mean > 0 else "worse" if found.mean < 0 else "no better"
    size = f" by {abs(found.mean):.3g} {metric}" if found.mean else ""
    if found.low is None or found.high is None:
        return f"{words}{size}, on a single fold, which says little"
    verdict = "more than the chance of the folds" if found.sure else "which may be the chance of the folds"
    return f"{words}{size} ({found.low:.3g} to {found.high:.3g} at {CONFIDENCE:.0%}), {verdict}"


def _named(record: Record) -> str:
    return f"{record.configuration.family} {record.number}"
