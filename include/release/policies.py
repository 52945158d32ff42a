"""Rollout policies: what a release does to the traffic, step by step. Pure: no clock, no network, no target."""

from __future__ import annotations

from include.specs.operation import Release
from include.store.routes import Route, Variant

CHAMPION, CHALLENGER = "champion", "challenger"


def release_steps(release: Release, champion: int | None) -> tuple[int, ...]:
    """Return the challenger's share of the traffic (percent) at each step.

    blue_green goes there at once, and so does the first release of a model: nobody else could answer the rest.
    """
    if champion is None or release.policy == "blue_green":
        return (100,)
    return release.steps


def compile_release(release: Release, model: str, champion: int | None, challenger: int) -> list[Route]:
    """Return the routes that a release goes through, the last one with all traffic at the challenger.

    Args:
        release: the spec's release.
        model: the model's name.
        champion: the version that answers now, or None for a first release.
        challenger: the version that wants its place.
    """
    return [route_at(model, percent, champion, challenger) for percent in release_steps(release, champion)]


def route_at(model: str, percent: int, champion: int | None, challenger: int) -> Route:
    """Return the route that gives ``percent`` of the traffic to the challenger.

    The champion stays in the route at 0 % too: it stays loaded, so that going back takes no time.
    """
    if champion is None or champion == challenger:
        return Route(model, (Variant(CHALLENGER, str(challenger), 100),))
    return Route(
        model,
        (Variant(CHAMPION, str(champion), 100 - percent), Variant(CHALLENGER, str(challenger), percent)),
    )


def settled(model: str, version: int) -> Route:
    """Return the route outside a release: the champion answers everything."""
    return Route(model, (Variant(CHAMPION, str(version), 100),))
