"""The step that makes the Evidently report of a training run."""

from __future__ import annotations

import numpy as np

from include.automl.bench import outputs_of
from include.evaluation.evidently_report import HTML, Side, write_report
from include.evaluation.intervals import Scored
from include.evaluation.outputs import read_outputs
from include.features.prepared import Prepared
from include.steps.context import Outcome, StepContext
from include.store.links import artifact_url
from include.store.packages import load_package


def run(context: StepContext) -> Outcome:
    """Compare training rows (with out-of-fold predictions) with held-out rows; leaves ``evidently.html`` and JSON."""
    spec = context.spec
    prepared = Prepared.load(context.path("prepare", "prepared"))
    package = load_package(context.path("search", "package"))
    threshold = package.manifest.threshold
    table, outputs = read_outputs(context.path("search", "oof.parquet"))
    rows = np.asarray(table["row"])
    reference = Side(prepared.train.iloc[rows], prepared.train_target[rows], Scored(outputs, threshold))
    current = Side(prepared.test, prepared.test_target, Scored(outputs_of(package.estimator, prepared.test), threshold))
    values = write_report(
        context.work,
        reference,
        current,
        prepared.fields,
        prepared.classes,
        spec.gates.max_drift_share,
        spec.search.seed,
    )
    drifted = values["drifted"]
    named = f": {', '.join(drifted[:5])}" if drifted else ""
    message = (
        f"{len(drifted)} of {len(prepared.fields)} columns differ between {values['rows_train']} training and "
        f"{values['rows_test']} held-out rows{named}"
    )
    page = artifact_url(context.platform, spec.name, context.run, context.task, HTML)
    return Outcome(message, values, {"Evidently report": page})
