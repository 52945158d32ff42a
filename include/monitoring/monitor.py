"""The one shape of every monitor: made from a reference, it calculates a result for each window."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from include.monitoring.sample import Reference, Sample
from include.specs.operation import Monitoring


@dataclass(frozen=True)
class MonitorResult:
    """What one monitor concluded about one window.

    Attributes:
        monitor: the monitor's name, which is also the name of its signal.
        signal: whether it raises its signal; None when it could not judge.
        message: one sentence for a person.
        evidence: the figures behind it, JSON-ready.
    """

    monitor: str
    signal: bool | None
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the name, JSON-ready."""
        return {"signal": self.signal, "message": self.message, "evidence": self.evidence}


class Monitor(ABC):
    """Base of the monitors.

    Args:
        reference: what the version was trained and measured on.
        settings: the spec's monitoring part.
    """

    name: ClassVar[str]
    """Name of the monitor and of its signal."""

    def __init__(self, reference: Reference, settings: Monitoring) -> None:
        self.reference = reference
        self.settings = settings

    @abstractmethod
    def calculate(self, sample: Sample) -> MonitorResult:
        """Compare the rows of one window with the reference; ``sample`` holds at least ``settings.min_rows`` rows."""
