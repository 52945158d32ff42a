"""A target on Kubernetes: releases through the API server, whatever kind of object they compile to."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

from include.release.cluster import diagnosis, pods
from include.release.cluster.api import ClusterApi, ConflictError, RefusedError
from include.release.cluster.counts import Counts, read_counts
from include.release.cluster.diagnosis import Trouble, first_trouble, is_ready, trouble
from include.release.cluster.kind import Kind, stale
from include.release.cluster.names import object_name
from include.release.cluster.placement import Placement
from include.release.target import NotReadyError, ProbeReport, Statistics, Target, TargetError, VariantStatistics
from include.specs import Platform, TemporarilyUnavailableError
from include.store.keys import serving_key
from include.store.routes import Route

POLL_SECONDS = 1.0
CONFLICTS = 5
PROBE_SECONDS = 30.0
log = logging.getLogger(__name__)
Document = dict[str, Any]


class ClusterReleases(Target):
    """Releases on a cluster. The object of a model says everything: its traffic, and in an annotation the route.

    A version is brought up without traffic and waited for before any traffic goes to it; the traffic then changes in
    one write. What the pods had counted at that moment stands in the same write, so that statistics start at zero.
    """

    def __init__(self, platform: Platform, kind: Kind) -> None:
        self._platform, self._kind = platform, kind
        self._api = ClusterApi(platform, kind.resource, kind.namespace)

    def deploy(self, model: str, version: int) -> float:
        """See `Target.deploy`."""
        started = time.monotonic()
        self._bring(model, (str(version),))
        return (time.monotonic() - started) * 1000

    def route(self, route: Route) -> Route:
        """See `Target.route`."""
        wanted: list[str] = []
        for version in dict.fromkeys(variant.version for variant in route.variants):
            wanted.append(version)
            self._bring(route.model, tuple(wanted))
        document, placement = self._read(route.model)
        if document is None or placement is None:
            raise TargetError(f"'{route.model}' was taken out while its route was changed; run the step again")
        # later than any before, also after the object was deleted and with it what it remembered
        revision = max((placement.route.revision if placement.route else 0) + 1, int(time.time() * 1000))
        routed = replace(route, revision=revision)
        after = self._kind.settled(placement.released(routed, self._counted(route.model, route)), placement)
        self._change(document, placement, after, tuple(wanted))
        return routed

    def withdraw(self, model: str) -> None:
        """See `Target.withdraw`."""
        name = object_name(model)
        self._api.delete(name)
        deadline = time.monotonic() + self._platform.cluster_target.ready_seconds
        while self._api.read(name) is not None:
            if time.monotonic() > deadline:
                raise TemporarilyUnavailableError(
                    f"{self._kind.resource.kind} {name} is marked for deletion and does not go; look at its finalizers"
                )
            time.sleep(POLL_SECONDS)

    def current(self, model: str) -> Route | None:
        """See `Target.current`."""
        placement = self._read(model)[1]
        return placement.route if placement else None

    def statistics(self, model: str) -> Statistics:
        """See `Target.statistics`. The counts of a pod that has ended are lost; rows count, and probes among them."""
        placement = self._read(model)[1]
        if placement is None or placement.route is None:
            raise TargetError(f"'{model}' has no route on {self.name}; release it first")
        variants = {
            variant.name: self._variant(placement, variant.name, variant.version)
            for variant in placement.route.variants
        }
        return Statistics(placement.route.revision, variants)

    def probe(
        self, model: str, rows: Sequence[Mapping[str, Any]], variant: str | None = None, version: int | None = None
    ) -> ProbeReport:
        """See `Target.probe`. The pods of the version take turns; without variant and version the base answers."""
        asked = str(version) if version is not None else self._version_of(model, variant)
        ready = [pod["metadata"]["name"] for pod in self._pods(model, asked) if is_ready(pod)]
        if not ready:
            return ProbeReport(len(rows), len(rows), (), f"no pod of '{model}' version {asked} is ready")
        headers = {"X-API-Key": serving_key(self._platform), "X-Factory-Probe": "1"}
        latencies: list[float] = []
        reasons: list[str] = []
        for row, pod in zip(rows, cycle(ready), strict=False):
            started = time.perf_counter()
            try:
                status, body = self._api.ask(
                    pod, pods.PORT, "POST", f"/v1/models/{model}/predict", {"features": dict(row)}, headers,
                    PROBE_SECONDS,
                )  # fmt: skip
            except OSError as error:
                reasons.append(str(error))
                continue
            if status < 300:
                latencies.append((time.perf_counter() - started) * 1000)
            else:
                reasons.append(f"{status} {body.decode(errors='replace')[:300]}")
        return ProbeReport(len(rows), len(reasons), tuple(latencies), reasons[0] if reasons else "")

    # Changing the object

    def _read(self, model: str) -> tuple[Document | None, Placement | None]:
        name = object_name(model)
        document = self._api.read(name)
        return document, Placement.read(document, f"{self._kind.resource.kind} {self._kind.namespace}/{name}")

    def _bring(self, model: str, versions: tuple[str, ...]) -> None:
        """Let ``versions`` run and be ready; the traffic stays as it is, and so does all when one cannot be."""
        document, before = self._read(model)
        after = (before or Placement(model, versions[0])).stage(versions)
        if before is None or set(after.shares()) - set(before.shares()):
            self._change(document, before, after, tuple(after.shares()))
        else:
            running = self._kind.running(before)
            self._wait(before, tuple(version for version in versions if version in running))

    def _change(
        self, document: Document | None, before: Placement | None, after: Placement, needed: tuple[str, ...]
    ) -> None:
        """Write ``after`` and wait until it holds for the versions that are needed; go back when it does not."""
        self._apply(document, before, after)
        try:
            self._wait(after, needed)
        except TargetError:
            self._restore(after.model, before)
            raise

    def _apply(self, document: Document | None, before: Placement | None, after: Placement) -> None:
        """Write ``after`` over what was read; a controller's own writes in between are no reason to stop."""
        manifest = self._kind.compile(after)
        for _ in range(CONFLICTS):
            try:
                self._api.apply(manifest, document["metadata"]["resourceVersion"] if document else None)
            except ConflictError:
                document, found = self._read(after.model)
                if found == after:
                    return  # our own write, whose answer got lost
                if found != before:
                    raise
                continue
            except RefusedError as error:
                raise NotReadyError(str(error)) from error
            return
        raise TemporarilyUnavailableError(
            f"{self._kind.resource.kind} {manifest['metadata']['name']} changes faster than it can be written; "
            "look who else writes it, then run the step again"
        )

    def _restore(self, model: str, before: Placement | None) -> None:
        """Go back to what was before; without anything before take the object away."""
        log.warning("going back to what '%s' was before on %s", model, self.name)
        if before is None:
            self.withdraw(model)
        else:
            self._apply(*self._read(model), before)

    # Waiting

    def _wait(self, placement: Placement, needed: tuple[str, ...]) -> None:
        """Return when every version that is needed has a ready pod and the controller is done.

        Where something runs besides, such as a challenger that is to go, the controller's verdict on the whole is
        not asked for: only that it has seen the last change.

        Raises:
            NotReadyError: a version cannot be had, or took longer than ``cluster_target.ready_seconds``.
        """
        started, limit = time.monotonic(), self._platform.cluster_target.ready_seconds
        running, former, since = self._kind.running(placement), math.inf, 0.0
        while True:
            document = self._api.read(object_name(placement.model))
            if document is None:
                raise TargetError(f"'{placement.model}' was taken out while it was waited for; run the step again")
            found = self._trouble(placement.model, [version for version in needed if version in running])
            waited = time.monotonic() - started
            whole = running <= set(needed)
            pending = found.reason if found else self._kind.pending(document) if whole else stale(document)
            if pending is None:
                return
            patience = found.patience if found else math.inf
            if patience != former:
                former, since = patience, waited
            if waited - since >= patience or waited > limit:
                after = f" after {waited:.0f} s" if patience else ""
                raise NotReadyError(f"'{placement.model}' is not ready on {self.name}{after}: {pending}")
            time.sleep(POLL_SECONDS)

    def _trouble(self, model: str, versions: Sequence[str]) -> Trouble | None:
        """Return why a version has no ready pod yet, or None when every version has one."""
        found: list[Trouble] = []
        for version in versions:
            running = self._pods(model, version)
            if any(map(is_ready, running)):
                continue
            troubles = [trouble(pod, self._api.log, lambda name: self._failures(name, model)) for pod in running]
            worst = first_trouble(troubles)
            if worst is None:
                refusals = self._api.refusals(object_name(model))
                why = f"the cluster refuses its pods: {refusals[-1]}" if refusals else "it has no pod yet"
                worst = Trouble(why, diagnosis.REFUSED_SECONDS if refusals else math.inf)
            found.append(Trouble(f"version {version}: {worst.reason}", worst.patience))
        return first_trouble(found)

    def _failures(self, pod: str, model: str) -> str:
        """Return why the server in ``pod`` cannot load its version, as it says itself; empty while it loads."""
        try:
            status, body = self._api.ask(pod, pods.PORT, "GET", "/health", seconds=5)
            return str(json.loads(body).get("failures", {}).get(model, "")) if status < 300 else ""
        except (OSError, ValueError):
            return ""

    # Counting

    def _pods(self, model: str, version: str) -> list[Document]:
        return self._api.pods(pods.labels(model, version))

    def _counted(self, model: str, route: Route) -> dict[str, dict[str, Any]]:
        """Return what every pod of the route has counted so far, by the pod's uid."""
        return {
            pod["metadata"]["uid"]: counts.as_dict()
            for version in {variant.version for variant in route.variants}
            for pod in self._pods(model, version)
            if (counts := self._scrape(pod, model, version)) is not None
        }

    def _variant(self, placement: Placement, name: str, version: str) -> VariantStatistics:
        total = Counts()
        for pod in self._pods(placement.model, version):
            if (counts := self._scrape(pod, placement.model, version)) is not None:
                total += counts.since(Counts.of(placement.counted.get(pod["metadata"]["uid"])))
        return total.statistics(name, version)

    def _scrape(self, pod: Document, model: str, version: str) -> Counts | None:
        """Return what a pod has counted; None of one that does not answer, which then counts nothing either."""
        if pod.get("status", {}).get("phase") != "Running":
            return None
        name = pod["metadata"]["name"]
        try:
            status, body = self._api.ask(name, pods.PORT, "GET", "/metrics")
        except OSError as error:
            log.warning("pod %s does not say what it counted: %s", name, error)
            return None
        return read_counts(body.decode(), model, version) if status == 200 else None

    def _version_of(self, model: str, variant: str | None) -> str:
        placement = self._read(model)[1]
        if placement is None or placement.route is None:
            raise TargetError(f"'{model}' has no route on {self.name}; ask for a version")
        versions = {one.name: one.version for one in placement.route.variants}
        if variant is not None and variant not in versions:
            raise TargetError(f"the route of '{model}' has no variant '{variant}'; it has {', '.join(versions)}")
        return versions[variant] if variant else placement.base
