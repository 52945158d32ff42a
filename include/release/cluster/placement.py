"""A placement: which versions of a model run on the cluster, and who of them gets the traffic. Pure.

The object on the cluster carries it in an annotation, so that the manifest itself is the durable route.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from include.release.target import TargetError
from include.store.routes import Route, Variant

ANNOTATION = "model-factory/placement"


@dataclass(frozen=True)
class Placement:
    """Which versions run, and which of them get traffic.

    Attributes:
        route: the released route; None before the first release.
        base: the version that others are rolled out over; when nothing is released, the one that was first there.
        staged: versions that run without traffic, to be probed.
        counted: what each pod had counted when the route began, by the pod's uid; see `counts.PodCounts`.
    """

    model: str
    base: str
    route: Route | None = None
    staged: tuple[str, ...] = ()
    counted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def shares(self) -> dict[str, int]:
        """Return the traffic (percent) of every version that runs, in the order in which they came.

        Before the first release nobody knows the address: what is staged first then has it all.
        """
        shares = {variant.version: 0 for variant in self.route.variants} if self.route else {self.base: 100}
        for variant in self.route.variants if self.route else ():
            shares[variant.version] += variant.weight
        return shares | {version: 0 for version in self.staged if version not in shares}

    def stage(self, versions: tuple[str, ...]) -> Placement:
        """Return the placement with ``versions`` running, and nothing staged besides; the traffic stays."""
        kept = replace(self, staged=()).shares()
        return replace(self, staged=tuple(version for version in versions if version not in kept))

    def released(self, route: Route, counted: Mapping[str, Mapping[str, Any]]) -> Placement:
        """Return the placement once the traffic goes as ``route`` says; versions that it does not name are gone."""
        versions = [variant.version for variant in route.variants]
        base = self.base if self.base in versions else versions[0]
        return Placement(self.model, base, route, (), counted)

    def annotation(self) -> str:
        """Return the text that `read` reads."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def read(cls, document: Mapping[str, Any] | None, where: str) -> Placement | None:
        """Return the placement that an object of the cluster carries; None where there is no object.

        Raises:
            TargetError: the object is not one of the factory's.
        """
        if document is None:
            return None
        text = document["metadata"].get("annotations", {}).get(ANNOTATION)
        try:
            values = json.loads(text)
            route = values.pop("route")
            variants = tuple(Variant(**variant) for variant in route["variants"]) if route else ()
            read = Route(route["model"], variants, route["revision"]) if route else None
            return cls(**{**values, "staged": tuple(values["staged"]), "route": read})
        except (TypeError, ValueError, KeyError) as error:
            raise TargetError(
                f"{where} has no readable annotation {ANNOTATION}: the factory did not make it; "
                "rename or delete it, or release to another namespace (cluster_target.namespace)"
            ) from error
