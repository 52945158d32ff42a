"""The systems that are compared, each in the environment that its users would make for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import commit, output, versions
from include.specs import ROOT

OURS = "ours"
FITS = "benchmarks.automl.fits"
CODE = (
    "include/automl", "include/features", "include/inference", "include/evaluation/metrics.py",
    "include/specs/training.py", "include/store/packages.py",
)  # fmt: skip
"""What a search and its packages are made of; its last commit is the version of ours."""


@dataclass(frozen=True)
class System:
    """A system.

    Attributes:
        name: for options and results.
        module: that fits it.
        options: for that module.
        packages: distributions whose versions belong to a result; the first one is the system's own.
        python: interpreter of its environment.
    """

    name: str
    title: str
    module: str
    packages: tuple[str, ...]
    python: Path
    options: Mapping[str, str] = field(default_factory=dict)

    def versions(self) -> dict[str, str]:
        """Return the versions of its packages, as they are installed."""
        return versions(self.python, self.packages)

    def version(self) -> str:
        """Return what a cell belongs to: a peer's release; our commit, marked where code has changed since."""
        if self.name != OURS:
            return self.versions()[self.packages[0]]
        return f"git.{commit(*CODE)}" + ("+changes" if changed() else "")


def changed() -> bool:
    """Tell whether our code differs from its last commit."""
    return bool(output("git", "-C", str(ROOT), "status", "--porcelain", "--", *CODE))


def _peer(name: str) -> Path:
    return ROOT / f".venv-peers-{name}" / "bin" / "python"


def _autogluon(preset: str) -> System:
    packages = ("autogluon.tabular", "lightgbm", "catboost", "xgboost-cpu", "torch", "fastai", "ray", "scikit-learn")
    options = {"preset": f"{preset}_quality"}
    return System(
        f"autogluon-{preset}", f"AutoGluon {preset}", f"{FITS}.autogluon", packages, _peer("autogluon"), options
    )


SYSTEMS = {
    system.name: system
    for system in (
        System(
            OURS,
            "ours",
            f"{FITS}.ours",
            ("scikit-learn", "lightgbm", "xgboost", "catboost", "optuna"),
            Path(sys.executable),
        ),
        System(
            "flaml",
            "FLAML",
            f"{FITS}.flaml",
            ("flaml", "lightgbm", "xgboost", "catboost", "scikit-learn"),
            _peer("flaml"),
        ),
        _autogluon("medium"),
        _autogluon("best"),
    )
}
"""By name."""
