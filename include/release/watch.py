"""Watch a step of a release: poll the target while the step bakes, and probe it where traffic is too thin."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

from include.release.health import Counts, Finding, compare, objection
from include.release.policies import CHALLENGER, CHAMPION
from include.release.target import Target, TargetError, VariantStatistics
from include.specs.operation import Experiment, Release

POLL_SECONDS = 0.5
PROBES_AT_ONCE = 20
MAX_PROBES = 1000
"""So many probes, over and above what the release asks for, and the target is taken to count none."""
log = logging.getLogger(__name__)
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Observation:
    """What was seen of a step.

    Attributes:
        challenger: its statistics in this step.
        champion: the same of the champion, or None when there is none.
        probes: rows that the watch sent itself.
        finding: what the experiment says, or None when the spec asks for none.
        objection: why the challenger may not go on, or None.
    """

    challenger: VariantStatistics
    champion: VariantStatistics | None
    probes: int
    finding: Finding | None
    objection: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the observation as JSON-ready values."""
        return {
            "challenger": asdict(self.challenger),
            "champion": asdict(self.champion) if self.champion else None,
            "probes": self.probes,
            "comparison": self.finding.as_dict() if self.finding else None,
            "objection": self.objection,
        }


class Watch:
    """Watches one step of the release of one model.

    Args:
        target: where the release runs.
        model: the model.
        release: bounds, bake time, requests needed.
        experiment: comparison to make, or None.
        earlier: counts of the release's earlier steps, by variant.
        rows: rows to probe with; asked for only when they are needed.
    """

    def __init__(
        self,
        target: Target,
        model: str,
        release: Release,
        experiment: Experiment | None,
        earlier: Mapping[str, Counts],
        rows: Callable[[], Rows],
    ) -> None:
        self._target, self._model, self._release, self._experiment = target, model, release, experiment
        self._earlier, self._load_rows = earlier, rows
        self._stock: Iterator[Mapping[str, Any]] | None = None
        self._probes = 0

    def run(self) -> Observation:
        """Return what was seen when the step has baked and enough requests were answered, or an objection came up."""
        deadline = time.monotonic() + self._release.bake.total_seconds()
        while True:
            baked = time.monotonic() >= deadline
            seen = self._observe(baked)
            missing = self._release.min_requests - seen.challenger.requests
            if seen.objection or (baked and missing <= 0):
                return seen
            if baked and self._probes > MAX_PROBES + 3 * self._release.min_requests:
                raise TargetError(
                    f"the target counted {seen.challenger.requests} requests of '{self._model}' after {self._probes} "
                    "probes; look into its log, or set release.min_requests to 0"
                )
            if baked:
                self._probe(min(missing, PROBES_AT_ONCE), with_champion=seen.champion is not None)
            else:
                time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def _observe(self, baked: bool) -> Observation:
        variants = self._target.statistics(self._model).variants
        if (challenger := variants.get(CHALLENGER)) is None:
            names = ", ".join(variants) or "none"
            raise TargetError(
                f"the route of '{self._model}' lost its challenger while it was watched (variants now: {names}); "
                "somebody else changed it: let one release run at a time"
            )
        champion = variants.get(CHAMPION)
        enough = baked and challenger.requests >= self._release.min_requests
        finding = self._compare(champion, challenger)
        reason = objection(self._release, challenger, enough) or (finding.objection if finding else None)
        return Observation(challenger, champion, self._probes, finding, reason)

    def _compare(self, champion: VariantStatistics | None, challenger: VariantStatistics) -> Finding | None:
        if self._experiment is None or champion is None:
            return None
        return compare(
            self._experiment,
            self._earlier.get(CHAMPION, Counts()) + Counts.of(champion),
            self._earlier.get(CHALLENGER, Counts()) + Counts.of(challenger),
        )

    def _probe(self, count: int, with_champion: bool) -> None:
        """Send ``count`` rows to the challenger; to the champion as many others, so that the comparison stays fair."""
        if self._stock is None:
            if not (rows := self._load_rows()):
                raise TargetError(f"'{self._model}' has no rows to probe with; set release.min_requests to 0")
            self._stock = cycle(rows)
        arms = [CHALLENGER, CHAMPION] if self._experiment and with_champion else [CHALLENGER]
        for arm in arms:
            report = self._target.probe(self._model, list(islice(self._stock, count)), variant=arm)
            self._probes += report.sent
            if report.errors:
                log.warning("%s of %s probes of the %s failed: %s", report.errors, report.sent, arm, report.reason)
