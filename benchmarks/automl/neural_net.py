"""The neural nets beside LightGBM, and both together: what the nets add to an ensemble of boosted trees.

    FACTORY_TEST_DATA=<folder> python -m benchmarks.automl.neural_net [data set …]

A quarter of each data set is held out. Each family is fitted on folds of the rest, and the mean of the folds' models
answers the held-out rows. Both families have their first configuration, one thread, and the same bound on time.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from benchmarks.automl.datasets import DATASETS, FILES, Dataset
from include.automl.bench import Bench, Configuration, outputs_of
from include.automl.families import find_family
from include.evaluation.metrics import metric
from include.features.preparation import prepare_rows
from include.features.prepared import Prepared
from include.specs import ModelSpec

FAMILIES = ("neural_net", "lightgbm")
FOLDS, SECONDS = 4, 15.0
"""Folds, and how long the fit of a fold may take."""


def main() -> None:
    """Print a line a data set: the metric of each family and of their mean, and the seconds of a fold's fit."""
    names = sys.argv[1:] or [
        name
        for name, data in DATASETS.items()
        if not data.large and (data.source == "scikit-learn" or FILES in os.environ)
    ]
    print(
        f"{'data set':20} {'metric':9} "
        + " ".join(f"{name:>12}" for name in (*FAMILIES, "mean"))
        + "  seconds of a fold"
    )
    for name in names:
        data = DATASETS[name]
        prepared, bench = _bench(data)
        answers = {family: _answers(bench, prepared, family) for family in FAMILIES}
        outputs = [outputs for outputs, _ in answers.values()]
        scores = [bench.objective(prepared.test_target, found) for found in (*outputs, np.mean(outputs, axis=0))]
        seconds = " ".join(f"{taken:6.1f}" for _, taken in answers.values())
        print(
            f"{name:20} {data.metric:9} " + " ".join(f"{score:12.5g}" for score in scores) + f"  {seconds}", flush=True
        )


def _bench(data: Dataset) -> tuple[Prepared, Bench]:
    spec = ModelSpec.model_validate(
        {
            "name": "bench",
            "owner": "benchmarks",
            "data": {"source": {"path": f"{data.name}.csv"}},
            "problem": {"type": data.task, "target": data.target, "metric": data.metric},
        }
    )
    frame = data.load()
    prepared = prepare_rows(frame[frame[data.target].notna()], spec, ordered=False).prepared
    return prepared, Bench(prepared, spec.features, metric(spec.metric), FOLDS, seed=0)


def _answers(bench: Bench, prepared: Prepared, name: str) -> tuple[np.ndarray[Any, Any], float]:
    """Return the mean of the folds' models for the held-out rows, and the mean seconds of a fold's fit."""
    configuration = Configuration(name, find_family(name).defaults(prepared.task))
    outputs, seconds = [], []
    for fold in range(FOLDS):
        found = bench.score(configuration, fold, 1, SECONDS)
        seconds.append(found.fit_seconds)
        rows = bench.plan(fold, configuration.plan).transform(prepared.test)
        outputs.append(outputs_of(found.estimator, rows))
    return np.mean(outputs, axis=0), float(np.mean(seconds))


if __name__ == "__main__":
    main()
