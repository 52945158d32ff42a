"""What monitoring last concluded about the models that are served, as a metric, so that an alert can tell a person."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from include.serving.observability.metrics import SIGNAL
from include.specs import Platform
from include.store.database import UNAVAILABLE
from include.store.signals import SignalStore

SECONDS = 30.0
"""How often the database is asked; windows are days or hours long."""
log = logging.getLogger(__name__)


class SignalFigures:
    """Keeps ``factory_signal`` as the last monitored window of each model says.

    Args:
        platform: names the factory's database.
        models: returns the names of the models that are served.
    """

    def __init__(self, platform: Platform, models: Callable[[], Iterable[str]]) -> None:
        self._store, self._models = SignalStore(platform), models
        self._raised: set[tuple[str, str]] = set()

    async def follow(self) -> None:
        """Look again and again, until cancelled; while the database is away the last figures stand."""
        while True:
            try:
                await asyncio.to_thread(self.refresh)
            except UNAVAILABLE as error:
                log.info("the signals of monitoring are as they were: the database does not answer (%s)", error)
            except Exception:
                log.exception("the signals of monitoring could not be read; trying again")
            await asyncio.sleep(SECONDS)

    def refresh(self) -> None:
        """Read the last window of each model; what it does not raise any more is set to 0."""
        windows = [window for model in self._models() for window in self._store.windows(model, last=1)]
        raised = {(window.model, signal) for window in windows for signal in window.signals}
        for labels in self._raised | raised:
            SIGNAL.labels(*labels).set(labels in raised)
        self._raised |= raised
