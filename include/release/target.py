"""A target: where releases run. One abstract base; `local` is the first, cluster targets join behind it.

A target is told a `Route` (which versions answer, with which share) and is asked how they do. It knows nothing of
policies, and a policy knows nothing of targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.specs import FactoryError
from include.store.routes import Route


class TargetError(FactoryError):
    """The target refused: trying again would not help."""


class NotReadyError(TargetError):
    """A version cannot be loaded on the target."""


@dataclass(frozen=True)
class VariantStatistics:
    """What a variant did since the current revision of its route.

    Attributes:
        name: role, such as ``challenger``.
        requests: rows that it was asked for; probes count.
        errors: those that it failed to answer.
        latency_ms: quantiles ``p50``, ``p95``, ``p99`` in milliseconds; None while nothing was measured.
        positives: positive answers of a binary model, else None.
    """

    name: str
    version: str
    requests: int
    errors: int
    latency_ms: Mapping[str, float | None] = field(default_factory=dict)
    positives: int | None = None


@dataclass(frozen=True)
class Statistics:
    """What every variant of a model did since revision ``revision`` of its route."""

    revision: int
    variants: Mapping[str, VariantStatistics]


@dataclass(frozen=True)
class ProbeReport:
    """How probes went, as the prober saw it.

    Attributes:
        sent: rows sent.
        errors: rows that were not answered.
        latencies_ms: time of each answered probe, in milliseconds.
        reason: the first failure in the target's words, or empty.
    """

    sent: int
    errors: int
    latencies_ms: tuple[float, ...] = ()
    reason: str = ""


class Target(ABC):
    """Where releases run. Every method may be repeated and ends the same.

    Every method raises TemporarilyUnavailableError when the target stays away for ``platform.service_retry_seconds``,
    and TargetError when it refuses.
    """

    name: str

    @abstractmethod
    def deploy(self, model: str, version: int) -> float:
        """Bring ``version`` to the target, ready to answer, without traffic; return how long it took (milliseconds).

        Raises:
            NotReadyError: it cannot be loaded.
        """

    @abstractmethod
    def route(self, route: Route) -> Route:
        """Let the traffic go as ``route`` says and return it with its new revision; statistics start at zero.

        The change is atomic: until it is done the former route answers, and when it fails the former route stays.

        Raises:
            NotReadyError: a version cannot be loaded; nothing changed.
        """

    @abstractmethod
    def withdraw(self, model: str) -> None:
        """Take ``model`` out: none of its versions answers any more. Harmless when it has no route."""

    @abstractmethod
    def current(self, model: str) -> Route | None:
        """Return the route of ``model``, or None when it was never released."""

    @abstractmethod
    def statistics(self, model: str) -> Statistics:
        """Return what the variants did since the current revision of the route.

        Raises:
            TargetError: the model has no route.
        """

    @abstractmethod
    def probe(
        self, model: str, rows: Sequence[Mapping[str, Any]], variant: str | None = None, version: int | None = None
    ) -> ProbeReport:
        """Ask a variant, or a version that has no route yet, for predictions that are counted but not logged.

        A row that is answered with an error counts in the report; it is no exception.

        Args:
            model: the model.
            rows: feature values by column, one row a probe.
            variant: which variant of the route is to answer.
            version: which version is to answer, whatever the route says.
        """


def same_traffic(first: Route | None, second: Route | None) -> bool:
    """Tell whether two routes send the traffic the same way, whatever their revisions."""
    if first is None or second is None:
        return first is second
    return first.model == second.model and set(first.variants) == set(second.variants)
