"""Quality: whether the rows that arrive are broken in a way that the held-out rows were not.

Each check turns a column into "at fault or not" by row, and asks whether the share of faults has risen: surely
(Fisher's exact test, one-sided, Bonferroni over all checks of the window) and by much (``MIN_RISE`` of the rows).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from include.monitoring.monitor import Monitor, MonitorResult
from include.monitoring.sample import Sample
from include.monitoring.statistics import rise_p_value
from include.store.packages import Field

if TYPE_CHECKING:
    import pandas as pd

MIN_RISE = 0.05
"""Rise of the share of faulty rows below which nothing is reported, however sure it is."""
Fault = Literal["missing", "invalid", "unseen category", "out of range"]


@dataclass(frozen=True)
class Check:
    """The share of one fault in one column.

    Attributes:
        reference: share among the held-out rows.
        current: share among the window's rows.
        p_value: of "the share has not risen".
        failed: whether it has risen surely and by much.
    """

    column: str
    fault: Fault
    reference: float
    current: float
    p_value: float
    failed: bool


class QualityMonitor(Monitor):
    """Raises ``quality`` when a column's share of missing, unreadable, unseen or out-of-range values has risen."""

    name = "quality"

    def calculate(self, sample: Sample) -> MonitorResult:
        """Check every column of one window against the held-out rows."""
        counts = [
            (field.name, fault, *hits)
            for field in self.reference.fields
            for fault, *hits in self._faults(field, sample)
        ]
        bound = self.settings.alpha / max(len(counts), 1)
        before, now = max(len(self.reference.held_out), 1), len(sample)
        checks = []
        for column, fault, held_out, hits in counts:
            p_value = rise_p_value(held_out, before, hits, now)
            failed = p_value <= bound and hits / now - held_out / before >= MIN_RISE
            checks.append(Check(column, fault, held_out / before, hits / now, p_value, failed))
        failed_checks = [check for check in checks if check.failed]
        evidence = {
            "alpha": self.settings.alpha,
            "min_rise": MIN_RISE,
            "checks": len(checks),
            "failed": [asdict(check) for check in failed_checks],
        }
        return MonitorResult(self.name, bool(failed_checks), _sentence(checks, failed_checks), evidence)

    def _faults(self, field: Field, sample: Sample) -> Iterator[tuple[Any, ...]]:
        """Yield (fault, faulty held-out rows, faulty rows of the window) for every check of one column."""
        held_out, current = self.reference.held_out.features[field.name], sample.features[field.name]
        invalid = sample.invalid.get(field.name, 0)
        yield "missing", int(held_out.isna().sum()), int(current.isna().sum()) - invalid
        yield "invalid", 0, invalid
        train = self.reference.train[field.name].dropna()
        if train.empty or field.type == "datetime":
            return
        if field.type == "string":
            known = set(train.unique())
            yield "unseen category", _strange(held_out, known), _strange(current, known)
        else:
            low, high = train.min(), train.max()
            yield "out of range", _outside(held_out, low, high), _outside(current, low, high)


def _strange(values: pd.Series, known: set[Any]) -> int:
    return int((~values.dropna().isin(known)).sum())


def _outside(values: pd.Series, low: float, high: float) -> int:
    return int(((values < low) | (values > high)).sum())


def _sentence(checks: list[Check], failed: list[Check]) -> str:
    if not failed:
        return f"all {len(checks)} checks passed"
    shown = "; ".join(
        f"{check.column}: {check.current:.0%} {check.fault} (was {check.reference:.0%})" for check in failed[:5]
    )
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"{len(failed)} of {len(checks)} checks failed: {shown}{more}"
