"""A target in memory: versions that fail or dawdle as told, and callers who ask it something whenever it is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from include.release.target import NotReadyError, ProbeReport, Statistics, Target, TargetError, VariantStatistics
from include.store.routes import Route


@dataclass
class Behaviour:
    """How a version answers: every ``fails_every``-th row not at all, the others in ``latency_ms``."""

    latency_ms: float = 5.0
    fails_every: int | None = None
    positive_share: float = 0.5
    loads: bool = True
    asked: int = 0


@dataclass
class SimulatedTarget(Target):
    """Counts like the model server does. ``traffic`` rows arrive each time that somebody asks for the statistics."""

    versions: dict[int, Behaviour]
    traffic: int = 0
    counts_probes: bool = True
    name = "simulated"
    routed: list[Route] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    probed: list[tuple[str | None, int]] = field(default_factory=list)
    _counts: dict[str, VariantStatistics] = field(default_factory=dict)

    def deploy(self, model: str, version: int) -> float:
        if version not in self.versions or not self.versions[version].loads:
            raise NotReadyError(f"version {version} of {model} cannot be loaded")
        return 1.0

    def route(self, route: Route) -> Route:
        for variant in route.variants:
            self.deploy(route.model, int(variant.version))
        self.withdrawn.discard(route.model)
        self.routed.append(replace(route, revision=len(self.routed) + 1))
        self._counts = {v.name: VariantStatistics(v.name, v.version, 0, 0, {"p95": None}, 0) for v in route.variants}
        return self.routed[-1]

    def withdraw(self, model: str) -> None:
        self.withdrawn.add(model)

    def current(self, model: str) -> Route | None:
        routes = (route for route in reversed(self.routed) if route.model == model)
        return None if model in self.withdrawn else next(routes, None)

    def statistics(self, model: str) -> Statistics:
        if self.current(model) is None:
            raise TargetError(f"'{model}' has no route")
        for variant in self.routed[-1].variants:
            for _ in range(self.traffic * variant.weight // 100):
                self._answer(variant.name)
        return Statistics(self.routed[-1].revision, dict(self._counts))

    def probe(
        self, model: str, rows: Sequence[Mapping[str, Any]], variant: str | None = None, version: int | None = None
    ) -> ProbeReport:
        self.probed.append((variant, len(rows)))
        if version is not None:
            errors = sum(not row or self._fails(version) for row in rows)
        else:
            errors = sum(not row or not self._answer(variant or "champion") for row in rows if self.counts_probes)
        return ProbeReport(len(rows), errors, (), "it broke" if errors else "")

    def _answer(self, variant: str) -> bool:
        counts = self._counts[variant]
        behaviour = self.versions[int(counts.version)]
        failed = self._fails(int(counts.version))
        positive = not failed and (behaviour.asked * behaviour.positive_share) % 1 < behaviour.positive_share
        self._counts[variant] = replace(
            counts,
            requests=counts.requests + 1,
            errors=counts.errors + failed,
            positives=(counts.positives or 0) + positive,
            latency_ms={"p95": behaviour.latency_ms},
        )
        return not failed

    def _fails(self, version: int) -> bool:
        behaviour = self.versions[version]
        behaviour.asked += 1
        return behaviour.fails_every is not None and behaviour.asked % behaviour.fails_every == 0
