"""How the pipelines of a model find each other: what one updates starts the next."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Asset, AssetWatcher


def challenger(model: str) -> Asset:
    """A version waits to be released. Updated by training; starts model_deployment."""
    return _asset(model, "challenger")


def champion(model: str) -> Asset:
    """The serving version has changed. Updated by model_deployment."""
    return _asset(model, "champion")


def drift(model: str) -> Asset:
    """Monitoring asks for a retraining. Updated by the trigger that watches signals; starts model_retraining."""
    from include.workflow.triggers import SignalTrigger

    return _asset(model, "drift", [AssetWatcher(name=f"{model}.signals", trigger=SignalTrigger(model=model))])


def _asset(model: str, name: str, watchers: Sequence[AssetWatcher] = ()) -> Asset:
    return Asset(
        name=f"{model}.{name}", uri=f"factory://{model}/{name}", group="model-factory", watchers=list(watchers)
    )
