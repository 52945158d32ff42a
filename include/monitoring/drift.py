"""Drift: whether the features, or the answers, are distributed otherwise than on the version's held-out rows.

A column has drifted when two things hold: the difference is *sure* (its test's p-value is at most ``alpha / m``,
Bonferroni's bound over the ``m`` columns tested, so an undrifted window raises the signal with probability at most
``alpha``, however the columns depend on each other), and it is *large* (its population stability index reaches
``min_effect``; with many rows every small difference is sure).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.monitoring.counts import Reckoner, WindowCounts
from include.monitoring.monitor import Monitor, MonitorResult
from include.monitoring.sample import Reference, Sample, thinned
from include.monitoring.statistics import categorical_psi, homogeneity_p_value, ks_p_value, numeric_psi

if TYPE_CHECKING:
    import pandas as pd

PREDICTION = "(prediction)"
"""The model's answers, tested beside the features; a feature cannot have this name by accident."""
Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class ColumnDrift:
    """One column's test.

    Attributes:
        test: ``ks`` (Kolmogorov-Smirnov, numbers) or ``chi2`` (homogeneity, categories).
        p_value: of "both samples have the same distribution".
        psi: population stability index, the size of the difference.
        drifted: whether it is sure and large.
    """

    column: str
    test: Literal["ks", "chi2"]
    p_value: float
    psi: float
    drifted: bool


@dataclass(frozen=True)
class Compared:
    """The columns that drift looks at, reference beside window: features with values in both, and the answers."""

    reference: pd.DataFrame
    current: pd.DataFrame
    kinds: dict[str, Kind]


def compared(reference: Reference, sample: Sample) -> Compared:
    """Return what is compared: booleans and text as categories, numbers as numbers.

    Dates are left out (time passes, which is no drift), and so is a column that has no value on one side (the quality
    monitor reports it).
    """
    held_out = with_answers(reference, reference.held_out)
    current = with_answers(reference, sample)
    kinds = {
        name: kind
        for name, kind in _kinds(reference).items()
        if held_out[name].notna().any() and current[name].notna().any()
    }
    return Compared(thinned(held_out[list(kinds)]), thinned(current[list(kinds)]), kinds)


def reckoner(reference: Reference) -> Reckoner:
    """Return what counts a window of any size against ``reference``, part by part."""
    kinds = _kinds(reference)
    return Reckoner.of(thinned(with_answers(reference, reference.held_out)[list(kinds)]), kinds)


def _kinds(reference: Reference) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {
        field.name: "numeric" if field.type == "number" else "categorical"
        for field in reference.fields
        if field.type != "datetime"
    }
    kinds[PREDICTION] = "categorical" if reference.task == "multiclass" else "numeric"
    return kinds


def with_answers(reference: Reference, sample: Sample) -> pd.DataFrame:
    """Return the features of ``sample`` and, as the column `PREDICTION`, what was answered."""
    import pandas as pd

    answers: Any = sample.outputs
    if reference.task == "multiclass":
        labels = np.array([str(label) for label in reference.classes or ()], dtype=object)
        known = ~np.isnan(answers).any(axis=1)
        answers = labels[np.where(known, answers.argmax(axis=1), 0)]
        answers[~known] = None
    return sample.features.assign(**{PREDICTION: pd.Series(answers, index=sample.features.index)})


def column_drifts(data: Compared, alpha: float, min_effect: float) -> list[ColumnDrift]:
    """Test every column of ``data``; an undrifted window has a drifted one with probability at most ``alpha``."""
    bound = alpha / max(len(data.kinds), 1)
    found = []
    for name, kind in data.kinds.items():
        reference, current = data.reference[name].dropna(), data.current[name].dropna()
        if kind == "numeric":
            values = reference.to_numpy(dtype=float), current.to_numpy(dtype=float)
            p_value, psi = ks_p_value(*values), numeric_psi(*values)
        else:
            p_value, psi = homogeneity_p_value(reference, current), categorical_psi(reference, current)
        drifted = p_value <= bound and psi >= min_effect
        found.append(ColumnDrift(name, "ks" if kind == "numeric" else "chi2", p_value, psi, drifted))
    return found


class DriftMonitor(Monitor):
    """Raises ``drift`` when a feature or the answers have surely and largely changed."""

    name = "drift"

    def calculate(self, sample: Sample) -> MonitorResult:
        """Test each feature and the answers of one window against the held-out rows."""
        return self._result(
            column_drifts(compared(self.reference, sample), self.settings.alpha, self.settings.min_effect)
        )

    def judge(self, counts: WindowCounts) -> MonitorResult:
        """Test a window that was counted by `reckoner`: all of its rows, not a sample of them."""
        found, kinds = reckoner(self.reference).tests(counts), _kinds(self.reference)
        bound = self.settings.alpha / max(len(found), 1)
        return self._result(
            [
                ColumnDrift(
                    name,
                    "ks" if kind == "numeric" else "chi2",
                    *found[name],
                    drifted=found[name][0] <= bound and found[name][1] >= self.settings.min_effect,
                )
                for name, kind in kinds.items()
                if name in found
            ]
        )

    def _result(self, columns: list[ColumnDrift]) -> MonitorResult:
        drifted = sorted((column for column in columns if column.drifted), key=lambda column: -column.psi)
        evidence = {
            "alpha": self.settings.alpha,
            "min_effect": self.settings.min_effect,
            "reference_rows": len(self.reference.held_out),
            "drifted": [column.column for column in drifted],
            "columns": [asdict(column) for column in columns],
        }
        return MonitorResult(self.name, bool(drifted), _sentence(columns, drifted), evidence)


def _sentence(columns: Sequence[ColumnDrift], drifted: Sequence[ColumnDrift]) -> str:
    if not drifted:
        return f"none of {len(columns)} columns has drifted"
    shown = ", ".join(f"{column.column} (PSI {column.psi:.2f})" for column in drifted[:5])
    more = f" and {len(drifted) - 5} more" if len(drifted) > 5 else ""
    return f"{len(drifted)} of {len(columns)} columns have drifted: {shown}{more}"
