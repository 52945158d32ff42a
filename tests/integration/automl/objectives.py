"""Objectives that misbehave; worker processes import them from here."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from multiprocessing import parent_process
from pathlib import Path

import numpy as np

from include.evaluation.metrics import metric


@dataclass(frozen=True)
class Watched:
    """ROC AUC, with a trap: on the ``at``-th score that any worker gives, it does what ``trap`` says."""

    folder: Path
    at: int
    trap: str
    name: str = "roc_auc"
    greater_is_better: bool = True
    maker: int = field(default_factory=os.getpid)

    def __call__(self, target: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None = None) -> float:
        if self._searches():  # and scores ensembles
            return metric("roc_auc")(target, outputs, weights)
        count = len(list(self.folder.iterdir()))
        (self.folder / f"{time.monotonic_ns()}.{os.getpid()}").touch()
        if count == self.at and self.trap == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if count >= self.at and self.trap == "hang":
            time.sleep(600)
        if count == self.at and self.trap == "break":
            raise ValueError("a broken trial")
        if count == self.at and self.trap == "swell":
            swollen = np.ones(2**29)  # 4 GiB
            time.sleep(60)
            raise ValueError(f"nobody minded {swollen.nbytes} bytes")
        if self.trap == "slow":
            time.sleep(0.4)
        return metric("roc_auc")(target, outputs, weights)

    def _searches(self) -> bool:
        """Tell whether this process is the search itself: no worker of a pool, nor one of Ray's, which have no parent."""
        ray = sys.modules.get("ray")
        on_ray = ray is not None and ray.is_initialized() and os.getpid() != self.maker
        return parent_process() is None and not on_ray
