"""Every target by name: a new one is a file of its own and a line here."""

from __future__ import annotations

from include.release.local import LocalTarget
from include.release.target import Target
from include.specs import FactoryError, Platform, did_you_mean

TARGETS: dict[str, type[LocalTarget]] = {"local": LocalTarget}


def open_target(platform: Platform) -> Target:
    """Return the platform's target.

    Raises:
        FactoryError: the setting names a target that there is not.
    """
    if platform.serving_target not in TARGETS:
        hint = did_you_mean(platform.serving_target, TARGETS)
        raise FactoryError(f"serving_target: '{platform.serving_target}' is unknown; {hint}")
    return TARGETS[platform.serving_target](platform)
