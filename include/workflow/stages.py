"""How the steps present themselves in the Airflow UI."""

from __future__ import annotations

from typing import NamedTuple


class Stage(NamedTuple):
    """A step's name for people, and one sentence on what it does."""

    title: str
    doc: str


STEPS = {
    "check": Stage("Check", "Holds the spec against its data and the platform, and reports every problem at once."),
    "snapshot": Stage("Snapshot", "Keeps an immutable copy of the rows that this run uses, named by their digest."),
    "validate": Stage("Validate", "Holds the rows against the expectations; sets failing rows aside or rejects."),
    "prepare": Stage("Prepare", "Detects the features' types and splits the rows into training and held-out ones."),
    "search_worker": Stage("Search worker", "Tries configurations until the deadline that all workers share."),
    "search": Stage("Search", "Looks for the best algorithm and settings by cross-validation, within its time budget."),
    "evaluate": Stage("Evaluate", "Measures the candidate on the held-out rows, with intervals."),
    "report": Stage("Report", "Makes the Evidently report: data quality, drift between the splits, model quality."),
    "gate": Stage("Gate", "Decides on the evidence whether the candidate may be registered; rejects the run if not."),
    "register": Stage("Register", "Makes the candidate a version in the registry, with the alias `challenger`."),
    "plan_release": Stage("Plan release", "Says which version is released, against which champion, in which steps."),
    "shift": Stage("Shift", "Sends a share of the traffic to the challenger, watches it and undoes it if need be."),
    "promote": Stage("Promote", "Makes the challenger the champion; the one before it is archived."),
    "rollback": Stage("Roll back", "Gives all traffic back to the version that had it before this run."),
    "monitor": Stage("Monitor", "Analyses every window that has ended: drift, quality, performance."),
    "decide": Stage("Decide", "Asks for a retraining when enough of the last windows raised a signal."),
    "close_retraining": Stage("Close retraining", "Writes down how the retraining ended; it runs however it ended."),
    "predict_batch": Stage("Predict batch", "Answers every row of a source, and keeps the answers as a Parquet file."),
    "materialize": Stage("Materialize", "Copies feature values of an explicit interval to the online store."),
}
"""Step name → title and description; the names are those of the step catalogue."""
