"""What every runtime of a model is to its callers: checked rows in, scores out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing import Self

    import numpy as np

    from include.store.packages import Manifest

    Array = np.ndarray[Any, Any]

Row = tuple[Any, ...]
"""One checked row, in the manifest's order: float (NaN is missing), str or None, aware datetime or None."""


class Scorer(ABC):
    """One version of a model in memory, in one runtime. Never changes, and may be called by several threads at once.

    Every runtime passes `tests.unit.inference.scorer_contract.ScorerContract`.

    Attributes:
        name: the runtime, as ``runtime.json`` names it.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, manifest: Manifest, device: str = "cpu") -> Self:
        """Load the files of this runtime from a package, without pickle.

        Args:
            folder: the package.
            manifest: its manifest.
            device: ``cpu`` or, where the runtime knows it, ``cuda`` or ``cuda:1``.

        Raises:
            FactoryError: the files are missing or damaged, or the runtime is not installed or has no such device.
        """

    @abstractmethod
    def score(self, rows: Sequence[Row]) -> Array:
        """Return class probabilities, shape (rows, classes) in the manifest's order, or a regression's values, (rows,).

        float64, rounded nowhere: what the runtime computed.
        """

    def score_one(self, row: Row) -> list[float]:
        """Return the scores of one row as Python floats: a probability a class, or one value.

        A runtime overrides this where it can skip the work of a batch.
        """
        scores = self.score([row])[0]
        return scores.tolist() if getattr(scores, "ndim", 0) else [float(scores)]
