"""From a package's folder to a scorer: the runtime that ``runtime.json`` names, or scikit-learn where it names none."""

from __future__ import annotations

from pathlib import Path

from include.inference.choice import Choice
from include.inference.runtimes import find_runtime
from include.inference.scorer import Scorer
from include.store.packages import Manifest

REFERENCE = "sklearn"
"""The runtime of the estimator as it was trained: what every other one is held against."""


def load_scorer(folder: Path, manifest: Manifest, device: str = "cpu") -> Scorer:
    """Load the package in ``folder`` in the runtime that was chosen for it.

    Args:
        folder: the package.
        manifest: its manifest.
        device: ``cpu`` or, where the runtime knows it, ``cuda`` or ``cuda:1``.

    Raises:
        FactoryError: a file is missing, damaged or not trusted, or the runtime is unknown or not installed.
    """
    choice = Choice.load(folder)
    return find_runtime(choice.runtime if choice else REFERENCE).open(folder, manifest, device)
