"""A model that takes too long: its callers are told in time, it is counted, and it goes on afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from include.inference.scorer import Row, Scorer
from include.serving.errors import ServingError
from include.serving.log.recorder import Recorder
from include.serving.messages import Instance
from include.serving.models.host import ModelHost
from include.serving.models.loaded import load_model
from include.serving.models.online import OnlineLookup
from include.serving.models.predictor import Asked, Predictor
from include.specs import Platform
from include.store.routes import Route, Variant
from tests.model_packages import house, put

ROW = Instance(features={"rooms": 1, "area": 2, "year": 3})


class Held(Scorer):
    """Answers when it is let go."""

    name = "held"

    def __init__(self) -> None:
        self.free = threading.Event()

    @classmethod
    def open(cls, folder: Path, manifest: object, device: str = "cpu") -> Held:
        return cls()

    def score(self, rows: Sequence[Row]) -> np.ndarray:
        self.free.wait(30)
        return np.ones(len(rows))


def test_a_model_that_takes_too_long_is_a_504_and_recovers(platform: Platform) -> None:
    scorer = Held()
    loaded = load_model("house", "1", put(platform.home, "house", 1, house()))
    held = replace(loaded, scorer=scorer, one_ms=1000.0, call_ms=1000.0)

    async def ask() -> None:
        host = ModelHost(platform)
        host.swap(Route("house", (Variant("champion", "1", 100),), 1), {"1": held})
        predictor = Predictor(host, Recorder(platform), OnlineLookup(platform), None, 0.2)
        with pytest.raises(ServingError) as late:
            await predictor.answer(Asked("house"), [ROW])
        assert (late.value.status, late.value.code) == (504, "model_too_slow")
        scorer.free.set()
        assert (await predictor.answer(Asked("house"), [ROW]))[0]["label"] == 1.0
        variant = host.served["house"].variants[0]
        assert (variant.statistics.requests, variant.statistics.errors, variant.batcher.waiting) == (2, 1, 0)
        host.close()

    asyncio.run(ask())
