"""Every target by name: a new one is a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Callable

from include.release.cluster.kserve import KServeKind
from include.release.cluster.seldon import SeldonKind
from include.release.cluster.target import ClusterReleases
from include.release.local import LocalTarget
from include.release.target import Target
from include.specs import FactoryError, Platform, did_you_mean


class SeldonTarget(ClusterReleases):
    """Seldon Core v1 on a Kubernetes cluster."""

    name = "seldon"

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform, SeldonKind(platform))


class KServeTarget(ClusterReleases):
    """KServe on a Kubernetes cluster."""

    name = "kserve"

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform, KServeKind(platform))


TARGETS: dict[str, Callable[[Platform], Target]] = {
    "local": LocalTarget,
    "seldon": SeldonTarget,
    "kserve": KServeTarget,
}


def open_target(platform: Platform) -> Target:
    """Return the platform's target.

    Raises:
        FactoryError: the setting names a target that there is not.
    """
    if platform.serving_target not in TARGETS:
        hint = did_you_mean(platform.serving_target, TARGETS)
        raise FactoryError(f"serving_target: '{platform.serving_target}' is unknown; {hint}")
    return TARGETS[platform.serving_target](platform)
