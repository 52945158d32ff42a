"""Measure what a prediction costs in each runtime: ``make bench-runtimes``.

For each model: CPU time on one thread, from checked rows to scores, of the estimator as it was trained (``sklearn``: a
DataFrame, the feature plan, the model) and of every runtime that takes the model, beside how often and how far its
scores differ on 2 000 rows. The last lines are the CPU time of a fresh process that loads a package and answers once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from include.automl.families import find_family
from include.data.churn import HISTORY_START_WEEK, simulate
from include.features.plan import View, build_plan
from include.features.preparation import prepare_rows
from include.inference.choice import Choice
from include.inference.choose import choose_runtime
from include.inference.frames import rows_of
from include.inference.scorer import Row
from include.specs import ROOT, load_spec
from include.specs.training import FAMILIES, Features, Packaging
from include.store.packages import Field, Manifest, ModelPackage, save_package

NUMBERS = tuple(Field(name=f"x{index}", type="number", example=0.5) for index in range(6))
COLD = """
import json, sys, time
from pathlib import Path
{first}
started = time.process_time()
from include.inference.load import load_scorer
from include.store.packages import load_manifest
folder = Path(sys.argv[1])
manifest = load_manifest(folder)
load_scorer(folder, manifest).score_one(tuple(0.5 for _ in manifest.features))
print(time.process_time() - started)
"""


def packages() -> Iterator[tuple[str, ModelPackage, list[Row]]]:
    """Return models: name, package, real rows."""
    from sklearn.ensemble import RandomForestClassifier
    from xgboost import XGBClassifier

    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(4000, 6)), columns=[field.name for field in NUMBERS])
    target = (table["x0"] + table["x1"] ** 2 + rng.normal(0, 0.5, 4000) > 1).to_numpy().astype(int)
    for name, model in (
        ("200-tree XGBoost, 6 numbers", XGBClassifier(n_estimators=200, n_jobs=1)),
        ("500-tree forest, 6 numbers", RandomForestClassifier(500, min_samples_leaf=2, random_state=0)),
    ):
        yield name, _fitted(model, table, target, NUMBERS, "trees"), rows_of(table, NUMBERS)
    spec = load_spec("churn")
    prepared = prepare_rows(simulate(HISTORY_START_WEEK, 12, 400, seed=0), spec, ordered=False).prepared
    for name in FAMILIES:
        family = find_family(name)
        model = family.build(family.defaults("binary"), "binary", seed=0, threads=1)
        package = _fitted(model, prepared.train, prepared.train_target, prepared.fields, family.view)
        yield f"churn, {name}", package, rows_of(prepared.test, prepared.fields)


def _fitted(model: Any, rows: pd.DataFrame, target: Any, fields: tuple[Field, ...], view: View) -> ModelPackage:
    pipeline = Pipeline([("features", build_plan(fields, Features(), "binary", view)), ("model", model)])
    manifest = Manifest(
        model="m", task="binary", target="y", features=fields, classes=(0, 1), algorithm="bench", run="bench",
        trained_at=datetime.now(UTC),
    )  # fmt: skip
    return ModelPackage(manifest, pipeline.fit(rows, target))


def cold_seconds(folder: Path, runtime: str, first: str = "") -> float:
    """Return the CPU time of a fresh process that opens the package in ``runtime`` and answers one row.

    Args:
        folder: the package.
        runtime: what is written into its ``runtime.json``.
        first: a statement that runs before the clock starts.
    """
    Choice(runtime=runtime).save(folder)
    code = [sys.executable, "-c", COLD.format(first=first), str(folder)]
    runs = [subprocess.run(code, cwd=ROOT, check=True, capture_output=True, text=True) for _ in range(3)]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    """Print a line for each model and runtime."""
    head = ("1 row µs", 9), ("x", 6), ("100 rows ms", 12), ("MiB", 6), ("differ", 8), ("most", 8)
    print(f"{'model':<28} {'runtime':<9}", *(f"{title:>{width}}" for title, width in head))
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, package, rows) in enumerate(packages()):
            folder = Path(scratch) / str(number)
            save_package(folder, package)
            choice = choose_runtime(folder, package, rows, Packaging())
            before = choice.candidates[0].one_ms or 0.0
            for found in choice.candidates:
                if found.one_ms is None:
                    print(f"{name:<28} {found.runtime:<9} {found.reason}")
                    continue
                mark = "*" if found.runtime == choice.runtime else ""
                print(
                    f"{name:<28} {found.runtime + mark:<9} {found.one_ms * 1000:9.1f} {before / found.one_ms:6.0f} "
                    f"{found.batch_ms or 0:12.2f} {found.size_mb or 0:6.2f} {found.share_different or 0:8.2%} "
                    f"{found.largest_difference or 0:8.1e}"
                )
        folder = Path(scratch) / "0"
        for runtime, first in (
            ("sklearn", "include.specs"),
            ("onnx", "include.specs"),
            ("onnx", "include.specs, onnxruntime"),
        ):
            seconds = cold_seconds(folder, runtime, f"import {first}")
            print(f"a fresh process that has {first} loads the first model in {runtime}, and answers: {seconds:.2f} s")


if __name__ == "__main__":
    main()
