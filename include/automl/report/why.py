"""Why the model is the one it is, in words: against what came next, with an interval over the folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.automl.ensemble.combination import Stack
from include.automl.leaderboard import ranked
from include.automl.paired import paired
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
    """Return by how much ``one`` leads over ``other``; arguments, and the error of the interval, as of `paired`."""
    mean, error = paired(one, other, greater_is_better, crossed)
    if error is None:
        return Lead(mean, None, None)
    from scipy.stats import t

    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(one) - 1)) * error
    return Lead(mean, mean - reach, mean + reach)


def reasons(result: SearchResult, metric: str, greater_is_better: bool) -> list[str]:
    """Return sentences that say what the model is, and why."""
    done = [record for record in ranked(result.records, greater_is_better) if record.state == "done"]
    whole = [record for record in done if len(record.scores) == len(result.scores)] or [result.winner]
    best = whole[0]
    told = [_made_of(result, metric)]
    if result.verdict is not None:
        told.append(result.verdict.told(metric))
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
    if len(result.members) == 1 and result.stack is None:
        return f"The model is a single trial, {_named(result.winner)}: {score}. It answers {how}."
    shares = ", ".join(f"{_named(member.record)} ({member.weight:.0%})" for member in result.members)
    if result.stack is not None:
        kind, more = "stacked: a second model answers over", f" {_second(result.stack)}"
    else:
        kind, more = "a weighted mean of", ""
    return f"The model is {kind} {len(result.members)} trials: {shares}; {score}. Each answers {how}.{more}"


def _second(stack: Stack) -> str:
    """Return what the second model does with the answers of its trials."""
    total = sum(stack.weights)
    if len(stack.biases) == 1:
        return f"Their values count {total:.3g} times in sum, and {stack.biases[0]:.3g} is added."
    return (
        f"The logarithms of their probabilities count {total:.3g} times in sum, and from {min(stack.biases):.2g} to "
        f"{max(stack.biases):.2g} is added to those of the classes."
    )


def _told(found: Lead, metric: str) -> str:
    words = "better" if found.mean > 0 else "worse" if found.mean < 0 else "no better"
    size = f" by {abs(found.mean):.3g} {metric}" if found.mean else ""
    if found.low is None or found.high is None:
        return f"{words}{size}, on a single fold, which says little"
    verdict = "more than the chance of the folds" if found.sure else "which may be the chance of the folds"
    return f"{words}{size} ({found.low:.3g} to {found.high:.3g} at {CONFIDENCE:.0%}), {verdict}"


def _named(record: Record) -> str:
    return f"{record.configuration.family} {record.number}"
