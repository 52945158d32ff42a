"""The simulated target of the other tests keeps the contract of the real ones."""

from __future__ import annotations

import pytest

from tests.integration.release.contract import TargetContract
from tests.unit.release.simulated import Behaviour, SimulatedTarget


class TestSimulatedTarget(TargetContract):
    @pytest.fixture
    def target(self):
        return SimulatedTarget({1: Behaviour(), 2: Behaviour()})

    @pytest.fixture
    def model(self):
        return "m"

    @pytest.fixture
    def rows(self):
        return [{"age": age} for age in range(10)]
