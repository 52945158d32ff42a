"""Gates: named checks with a verdict and the evidence that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from include.automl.bench import outputs_of
from include.evaluation.intervals import Interval, Scored, paired_bootstrap
from include.evaluation.metrics import Array
from include.specs import FactoryError
from include.specs.training import Gates
from include.store.packages import Manifest, ModelPackage, typed

if TYPE_CHECKING:
    from include.features.prepared import Prepared

Verdict = Literal["pass", "fail"]
MAX_EMPTIED = 0.2
"""By how much the share of missing values of a column may rise from training to held-out rows."""


class IncomparableError(FactoryError):
    """The champion cannot answer for the candidate's held-out rows."""


@dataclass(frozen=True)
class Gate:
    """One check.

    Attributes:
        name: such as ``champion`` or ``roc_auc >= 0.7``.
        verdict: pass or fail.
        evidence: the numbers that decided, JSON-ready.
        message: one sentence for a person.
    """

    name: str
    verdict: Verdict
    evidence: dict[str, Any]
    message: str


@dataclass(frozen=True)
class GateReport:
    """Every gate of a candidate."""

    gates: tuple[Gate, ...]

    @property
    def failed(self) -> list[Gate]:
        """The gates that said no."""
        return [gate for gate in self.gates if gate.verdict == "fail"]

    @property
    def verdict(self) -> Verdict:
        """Pass when every gate passed."""
        return "fail" if self.failed else "pass"

    def as_dict(self) -> dict[str, Any]:
        """Return the report, JSON-ready."""
        return {"verdict": self.verdict, "gates": [asdict(gate) for gate in self.gates]}


def threshold_gates(gates: Gates, metrics: Mapping[str, Mapping[str, Any]]) -> list[Gate]:
    """Hold metrics of the held-out rows against the spec's bounds; the value decides, the interval is evidence.

    Args:
        gates: the spec's gates.
        metrics: name → ``{"value", "low", "high"}``, as `evaluate` leaves them.
    """
    made = []
    for bound in gates.thresholds:
        found = metrics[bound.metric]
        for limit, word, sign in ((bound.min, ">=", 1.0), (bound.max, "<=", -1.0)):
            if limit is None:
                continue
            value = found["value"]
            holds = value is not None and sign * (value - limit) >= 0
            shown = "is not defined" if value is None else f"is {value:.4g}{_between(found)}"
            gap = "" if holds or value is None else f", {abs(value - limit):.4g} off"
            message = f"{bound.metric} {shown}; the bound is {word} {limit:g}{gap}"
            evidence = {**found, "bound": limit, "direction": word}
            made.append(Gate(f"{bound.metric} {word} {limit:g}", _verdict(holds), evidence, message))
    return made


def limit_gate(name: str, value: float, limit: float, unit: str, meaning: str) -> Gate:
    """Hold a figure against the most that the spec allows."""
    holds = value <= limit
    gap = "" if holds else f", {value - limit:.3g} {unit} too much"
    message = f"{meaning} is {value:.3g} {unit}; at most {limit:g} {unit} are allowed{gap}"
    return Gate(name, _verdict(holds), {"value": value, "limit": limit, "unit": unit}, message)


def drift_gate(gates: Gates, report: Mapping[str, Any]) -> Gate:
    """Hold the share of columns that differ between training and held-out rows against the spec's bound."""
    share, limit, drifted = report["drift_share"], gates.max_drift_share, report["drifted"]
    holds = share <= limit
    named = f" ({', '.join(drifted[:5])}{', …' if len(drifted) > 5 else ''})" if drifted else ""
    message = f"{share:.0%} of the columns differ between training and held-out rows{named}; at most {limit:.0%} may"
    return Gate("drift", _verdict(holds), {"share": share, "limit": limit, "drifted": drifted}, message)


def quality_gate(report: Mapping[str, Any]) -> Gate:
    """Refuse held-out rows in which a column has lost its values."""
    rose = report["quality"]["missing_rose"]
    emptied = {name: share for name, share in rose.items() if share > MAX_EMPTIED}
    named = ", ".join(f"{name} (+{share:.0%})" for name, share in list(emptied.items())[:5])
    message = (
        f"values are missing in held-out rows that training rows had: {named}; look at the source"
        if emptied
        else "no column lost its values between training and held-out rows"
    )
    evidence = {**report["quality"], "limit": MAX_EMPTIED, "emptied": emptied}
    return Gate("data quality", _verdict(not emptied), evidence, message)


def champion_gate(
    gates: Gates,
    metric: str,
    prepared: Prepared,
    candidate: Scored,
    champion: ModelPackage,
    version: int,
    seen: Array | None = None,
) -> tuple[Gate, Interval | None]:
    """Compare the candidate with the champion on the held-out rows, by a paired bootstrap.

    Held-out rows that the champion was trained on (``seen``, bool, shape (held-out rows,)) are left out: it would look
    better on them than it is.

    ``better``: the interval of the difference must lie above 0. ``not_worse``: it must not lie below ``-tolerance`` as
    a whole, which would mean that the candidate is surely worse than allowed. Where the champion cannot answer for
    these rows, because columns or classes have changed, nothing speaks against the candidate: ``not_worse`` passes,
    and ``better`` fails.

    Returns:
        The gate, and the interval of the difference (positive: the candidate is better); None where there is none.
    """
    rule = gates.beat_champion
    evidence: dict[str, Any] = {"rule": rule, "tolerance": gates.tolerance, "champion": version, "metric": metric}
    try:
        theirs = champion_scored(champion, prepared)
    except FactoryError as error:
        message = f"version {version} cannot be compared: {error}"
        return Gate("champion", _verdict(rule != "better"), evidence | {"reason": str(error)}, message), None
    fair = np.ones(len(prepared.test), dtype=bool) if seen is None else ~seen
    rows, left_out = int(fair.sum()), int((~fair).sum())
    if rows < 2:
        seen_of = f"{left_out} of {left_out + rows} held-out rows"
        message = f"version {version} cannot be compared: it was trained on {seen_of}"
        return Gate("champion", _verdict(rule != "better"), evidence | {"left_out": left_out}, message), None
    evidence |= {"rows": rows, "left_out": left_out}
    weights = None if prepared.test_weights is None else prepared.test_weights[fair]
    found = paired_bootstrap(
        metric,
        prepared.test_target[fair],
        candidate.take(fair),
        theirs.take(fair),
        gates.confidence,
        weights=weights,
    )
    if not np.isfinite([found.value, found.low, found.high]).all():
        message = f"{metric} is not defined on these rows, so that version {version} cannot be compared"
        return Gate("champion", _verdict(rule != "better"), evidence, message), None
    holds = found.low > 0 if rule == "better" else found.high >= -gates.tolerance
    wanted = "must be better" if rule == "better" else f"may not be worse by more than {gates.tolerance:g}"
    message = (
        f"{metric} is better by {found.value:+.4g} (from {found.low:+.4g} to {found.high:+.4g}, "
        f"{gates.confidence:.0%}) than that of version {version} on the same {rows} rows"
        f"{f' ({left_out} on which that one was trained left out)' if left_out else ''}; it {wanted}"
    )
    return Gate("champion", _verdict(holds), evidence | found.as_dict(), message), found


def champion_scored(champion: ModelPackage, prepared: Prepared) -> Scored:
    """Return what the champion answers for the held-out rows, in the order of the candidate's classes.

    Raises:
        IncomparableError: task, columns or classes differ.
        PackageError: a value cannot be read as the champion's type of its column.
    """
    manifest = champion.manifest
    if manifest.task != prepared.task:
        raise IncomparableError(f"it is a {manifest.task} model, the candidate a {prepared.task} one")
    if absent := _absent(manifest, prepared):
        raise IncomparableError(f"it needs columns that are no features any more: {', '.join(absent[:5])}")
    outputs = outputs_of(champion.estimator, typed(prepared.test, manifest.features))
    if prepared.classes is None or manifest.classes is None:
        return Scored(outputs)
    return Scored(_in_order(outputs, manifest.classes, prepared.classes), manifest.threshold)


def _absent(manifest: Manifest, prepared: Prepared) -> list[str]:
    """Return the columns that a model reads and the rows lack."""
    return [field.name for field in manifest.features if field.used and field.name not in prepared.test.columns]


def _in_order(outputs: Array, theirs: Sequence[Any], ours: Sequence[Any]) -> Array:
    """Return class probabilities in our order of classes."""
    if set(map(str, theirs)) != set(map(str, ours)):
        raise IncomparableError(f"it knows the classes {list(theirs)}, the candidate {list(ours)}")
    place = {str(label): column for column, label in enumerate(theirs)}
    order = [place[str(label)] for label in ours]
    if outputs.ndim == 1:
        return outputs if order == [0, 1] else 1 - outputs
    return outputs[:, order]


def _between(found: Mapping[str, Any]) -> str:
    low, high = found.get("low"), found.get("high")
    return "" if low is None or high is None else f" (from {low:.4g} to {high:.4g})"


def _verdict(holds: bool) -> Verdict:
    return "pass" if holds else "fail"
