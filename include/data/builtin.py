"""Data sets that come with the factory: simulated, and named so, or shipped by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property

import pandas as pd

from include.data.churn import HISTORY_START_WEEK, HISTORY_WEEKS, simulate
from include.data.source import Source
from include.specs import ModelSpec, did_you_mean
from include.specs import data as specs


def churn_simulated() -> pd.DataFrame:
    """Return the history of the simulated subscription business (docs/churn.md): 26 weeks of 500 customers."""
    return simulate(HISTORY_START_WEEK, HISTORY_WEEKS)


def breast_cancer() -> pd.DataFrame:
    """Return the Wisconsin diagnostic data: 569 rows, 30 measurements, ``diagnosis`` (malignant or benign)."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    return frame.assign(diagnosis=[str(bunch.target_names[code]) for code in bunch.target])


def diabetes() -> pd.DataFrame:
    """Return the diabetes data of Efron et al. (2004) in its own units: 442 rows, 10 columns, ``progression``."""
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes(as_frame=True, scaled=False)
    return bunch.data.assign(progression=bunch.target)


DATASETS: dict[str, Callable[[], pd.DataFrame]] = {
    "churn_simulated": churn_simulated,
    "breast_cancer": breast_cancer,
    "diabetes": diabetes,
}


class DatasetSource(Source):
    """One of `DATASETS`."""

    def __init__(self, spec: ModelSpec, source: specs.DatasetSource) -> None:
        super().__init__(spec)
        self._name = source.name
        if source.name not in DATASETS:
            hint = did_you_mean(source.name, DATASETS)
            raise self.error("data.source.name", f"there is no data set '{source.name}'", hint)

    @property
    def title(self) -> str:
        """The data set's name."""
        return f"data set {self._name}"

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return DATASETS[self._name]()

    def _load(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        columns: list[str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        frame = self._frame
        return (frame if columns is None else frame[columns]).head(len(frame) if limit is None else limit)
