"""Whether more rows would help: the score of the best trial's configuration, fitted on more and more of the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from include.automl.bench import Bench, Configuration
from include.automl.folds import Fold
from include.specs import FactoryError

log = logging.getLogger(__name__)
SHARES = (0.1, 0.25, 0.5, 1.0)
FOLDS = 3
LEAST_ROWS = 20
PICTURE = "learning_curve.png"


@dataclass(frozen=True)
class Point:
    """The scores of models that were fitted on so many rows, one a fold."""

    rows: int
    scores: tuple[float, ...]


def learning_curve(bench: Bench, configuration: Configuration, threads: int, seconds: float) -> list[Point]:
    """Return one point for each share of the rows that there was time for, the smallest first.

    Each fold keeps its held rows, so that all points of a fold are judged on the same ones. Rows in time order lose the
    oldest ones, others any.

    Args:
        bench: of the search.
        configuration: what to fit.
        threads: most threads of a fit.
        seconds: no fit is begun that is reckoned to end later than this.
    """
    began, slowest = time.monotonic(), 0.0
    points: list[Point] = []
    try:
        for share in SHARES:
            scores: list[float] = []
            part = Bench(bench.prepared, bench.features, bench.objective, bench.count, bench.seed, bench.options)
            part.folds = [_cut(fold, share, bench.prepared.ordered, bench.seed) for fold in bench.folds[:FOLDS]]
            rows = len(part.folds[0][0])
            if share < 1 and (rows < LEAST_ROWS or _lost_a_class(bench, part)):
                continue
            for fold in range(len(part.folds)):
                started = time.monotonic()
                if started - began + slowest > seconds:
                    break
                scores.append(part.score(configuration, fold, threads, seconds).score)
                slowest = max(slowest, time.monotonic() - started)
            if not scores:
                break
            points.append(Point(rows, tuple(scores)))
            slowest *= 2  # the next point has about twice the rows
    except FactoryError as error:
        log.info("the learning curve ends early: %s", error)
    return points


def _lost_a_class(whole: Bench, part: Bench) -> bool:
    """Tell whether a fold of ``part`` fits on fewer classes than that of ``whole``: a rare one may be gone."""
    if whole.prepared.classes is None:
        return False
    target = whole.prepared.train_target
    return any(
        len(np.unique(target[fewer[0]])) < len(np.unique(target[fold[0]]))
        for fold, fewer in zip(whole.folds, part.folds, strict=False)
    )


def draw_learning_curve(file: Path, points: Sequence[Point], metric: str) -> None:
    """Write the curve as a PNG file; with fewer than two points there is nothing to draw."""
    if len(points) < 2:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4), layout="constrained")
    axes = figure.subplots()
    rows = [point.rows for point in points]
    for fold in range(max(len(point.scores) for point in points)):
        seen = [(point.rows, point.scores[fold]) for point in points if len(point.scores) > fold]
        axes.plot(*zip(*seen, strict=True), ".-", color="grey", alpha=0.5, linewidth=0.8)
    axes.plot(rows, [fmean(point.scores) for point in points], "o-", label="mean of the folds")
    axes.set_xscale("log")
    axes.set_xticks(rows, [f"{row:,}" for row in rows])
    axes.minorticks_off()
    axes.set(title="Learning curve", xlabel="rows that were fitted on", ylabel=metric)
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _cut(fold: Fold, share: float, ordered: bool, seed: int) -> Fold:
    """Return a fold that fits on a share of its rows, in their order."""
    fit, held = fold
    count = max(1, round(share * len(fit)))
    if ordered:
        return fit[-count:], held
    return np.sort(np.random.default_rng(seed).permutation(fit)[:count]), held
