"""The choice of a package's runtime: every one that can take the model, held against the estimator on real rows.

The fastest faithful one serves. float32 decides here and there on which side of a split a row falls, so that a few rows
may differ by much; what counts is the share of them. The evidence stays in ``runtime.json``.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from include.inference.choice import BATCH, Candidate, Choice
from include.inference.export import EXPORTERS, NotExportableError, divided, export, takes
from include.inference.load import REFERENCE
from include.inference.runtimes import find_runtime
from include.inference.runtimes.sklearn import SklearnScorer
from include.inference.scorer import Row, Scorer
from include.specs.errors import FactoryError
from include.specs.training import Packaging
from include.store.packages import ESTIMATOR, Manifest, ModelPackage

Array = np.ndarray[Any, Any]
TIMED_ROWS, FEWEST_ROWS = 30, 3
"""Different rows that are timed one at a time, in turn: fewer of a runtime that takes long for each."""
SECONDS = 0.1
"""CPU time that measuring a runtime takes, for single rows and for batches each."""


class UnfaithfulRuntimeError(FactoryError):
    """The runtime that a spec asks for cannot serve the model, or answers differently."""


def choose_runtime(folder: Path, package: ModelPackage, rows: Sequence[Row], packaging: Packaging) -> Choice:
    """Add to the package in ``folder`` the files of its fastest faithful runtime, and ``runtime.json``.

    Args:
        folder: what `include.store.packages.save_package` wrote.
        package: the same, loaded.
        rows: real rows; those of a caller, with every gap that callers send.
        packaging: the tolerances, and the runtime where the user chose one.

    Raises:
        UnfaithfulRuntimeError: the user's runtime cannot take the model or answers differently.
    """
    rows = list(rows)[: packaging.rows]
    reference = SklearnScorer(package.manifest, package.estimator)
    expected = reference.score(rows)
    found = {REFERENCE: measured(reference, Candidate(runtime=REFERENCE, faithful=True, rows=len(rows)), rows)}
    found[REFERENCE] = found[REFERENCE].model_copy(update={"size_mb": size_mb(folder / ESTIMATOR)})
    with tempfile.TemporaryDirectory(prefix="factory-") as scratch:
        for name in _wanted(package, packaging):
            target = Path(scratch) / name
            target.mkdir()
            found[name] = _tried(name, package, target, rows, expected, packaging)
        chosen = _fastest(found, packaging)
        if chosen != REFERENCE:
            shutil.copytree(Path(scratch) / chosen, folder, dirs_exist_ok=True)
    choice = Choice(runtime=chosen, candidates=tuple(found.values()))
    choice.save(folder)
    return choice


def _wanted(package: ModelPackage, packaging: Packaging) -> list[str]:
    """Return the runtimes to try beside the reference."""
    if packaging.runtime == REFERENCE:
        return []
    return [packaging.runtime] if packaging.runtime != "auto" else [name for name in EXPORTERS if takes(name, package)]


def _tried(
    name: str, package: ModelPackage, folder: Path, rows: list[Row], expected: Array, packaging: Packaging
) -> Candidate:
    """Build, compare and time one runtime."""
    try:
        encoding, model = divided(package)
        export(name, model, encoding, package.manifest, folder)
        scorer = find_runtime(name).open(folder, package.manifest)
        scores = _answers(scorer, rows)
    except NotExportableError as error:
        return Candidate(runtime=name, faithful=False, reason=str(error))
    except Exception as error:  # whatever a runtime raises: it cannot serve this model
        return Candidate(runtime=name, faithful=False, reason=f"it was built, but: {type(error).__name__}: {error}")
    candidate = compared(name, scores, expected, package.manifest, packaging)
    return measured(scorer, candidate, rows).model_copy(update={"size_mb": size_mb(folder)})


def _answers(scorer: Scorer, rows: list[Row]) -> Array:
    """Return the scores of ``rows``: of the first half together, of the others one at a time, as callers ask too."""
    half = len(rows) // 2
    many, ones = scorer.score(rows[:half]), np.array([scorer.score_one(row) for row in rows[half:]])
    return np.concatenate([many, ones if many.ndim == ones.ndim else ones[:, 0]])


def compared(runtime: str, scores: Array, expected: Array, manifest: Manifest, packaging: Packaging) -> Candidate:
    """Return how ``scores`` differ from the reference's, both shaped as `Scorer.score` gives them."""
    unit = 1.0
    if manifest.classes is None:
        scores, expected = scores[:, None], expected[:, None]
        unit = float(expected.std()) or 1.0
    different = np.nan_to_num(np.abs(scores - expected) / unit, nan=np.inf).max(axis=1, initial=0)
    share = float((different > packaging.tolerance).mean()) if len(different) else 0.0
    labels = None if manifest.classes is None else _share_labels(scores, expected, manifest, packaging.tolerance)
    faithful = max(share, labels or 0.0) <= packaging.max_different_share
    return Candidate(
        runtime=runtime,
        faithful=faithful,
        rows=len(scores),
        share_different=share,
        share_labels=labels,
        largest_difference=float(largest) if np.isfinite(largest := different.max(initial=0)) else None,
        reason="" if faithful else "it answers differently",
    )


def _share_labels(scores: Array, expected: Array, manifest: Manifest, tolerance: float) -> float:
    """Return the share of rows that get another label.

    Left out are rows on which the reference itself is undecided, such as those for which half of a forest's trees vote:
    there the last digit of a probability decides.
    """
    if manifest.task == "binary":
        margins = expected[:, 1] - manifest.threshold
        differ = (scores[:, 1] >= manifest.threshold) != (margins >= 0)
    else:
        first, second = np.sort(expected, axis=1)[:, :-3:-1].T
        margins, differ = first - second, scores.argmax(axis=1) != expected.argmax(axis=1)
    return float((differ & (np.abs(margins) > tolerance)).mean())


def _fastest(found: dict[str, Candidate], packaging: Packaging) -> str:
    """Return the faithful runtime that takes least for a single row, or the one that the user chose.

    Raises:
        UnfaithfulRuntimeError: the user's is not faithful.
    """
    if packaging.runtime == "auto":
        faithful = [candidate for candidate in found.values() if candidate.faithful]
        return min(faithful, key=lambda candidate: candidate.one_ms or np.inf).runtime
    wanted = found[packaging.runtime]
    if not wanted.faithful:
        share = "" if wanted.share_different is None else f" on {wanted.share_different:.2%} of {wanted.rows} rows"
        raise UnfaithfulRuntimeError(
            f"packaging.runtime: '{wanted.runtime}' cannot serve this model: {wanted.reason}{share}; set auto, or "
            "widen packaging.tolerance or packaging.max_different_share"
        )
    return wanted.runtime


def measured(scorer: Scorer, candidate: Candidate, rows: list[Row]) -> Candidate:
    """Return ``candidate`` with what a row and a batch cost."""
    one = max(_cpu_seconds(lambda: scorer.score_one(rows[0])), 1e-6)
    ones = rows[: min(TIMED_ROWS, max(FEWEST_ROWS, int(SECONDS / one)))]
    batch = (rows * (BATCH // len(rows) + 1))[:BATCH]

    def one_by_one() -> None:
        for row in ones:
            scorer.score_one(row)

    return candidate.model_copy(
        update={
            "one_ms": _cpu_ms(one_by_one) / len(ones),
            "batch_ms": _cpu_ms(lambda: scorer.score(batch)),
        }
    )


def _cpu_ms(call: Callable[[], object]) -> float:
    """Return the least CPU time of a call, in milliseconds: what else the machine does must not decide."""
    call()
    times: list[float] = []
    while sum(times) < SECONDS:
        times.append(_cpu_seconds(call))
    return 1000 * min(times)


def _cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def size_mb(path: Path) -> float:
    """Return the size of a file, or of the files in a folder, in MiB."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20
