"""The whole life of the shipped model, and of models of one's own on real data, as `make run` runs them."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from include.registry.models import Registry
from include.store.prediction_log import PredictionLog
from include.store.routes import RouteStore
from include.store.signals import SignalStore
from tests.e2e.conftest import Stack

OWN = ("telco", "california")


@pytest.fixture(scope="session")
def lived(stack: Stack) -> str:
    """Return what `make run` printed for churn."""
    done = stack.command("run", "churn")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def test_the_old_champion_is_replaced_by_one_that_is_better_on_the_drifted_data(stack: Stack, lived: str) -> None:
    assert "version 2 is the new champion" in lived, lived
    registry = Registry(stack.platform)
    champion, archived = registry.get("churn", "champion"), registry.get("churn", 1)
    assert champion is not None
    assert archived is not None
    assert (champion.number, champion.stage, archived.stage) == (2, "Production", "Archived")
    route = RouteStore(stack.platform).get("churn")
    assert route is not None
    assert [(v.version, v.weight) for v in route.variants] == [("2", 100)]


def test_monitoring_was_quiet_before_the_shift_and_not_after(stack: Stack, lived: str) -> None:
    windows = SignalStore(stack.platform).windows("churn")
    assert [bool(window.signals) for window in windows] == [False] * 4 + [True] * 3
    requests = SignalStore(stack.platform).requests("churn")
    assert [request.outcome for request in requests] == ["registered"]


def test_every_answer_is_in_the_log_with_its_label(stack: Stack, lived: str) -> None:
    frame = PredictionLog(stack.platform).frame("churn")
    assert len(frame) >= 7 * 400
    assert frame["label"].notna().sum() == 7 * 400
    assert set(frame["version"]) == {"1", "2"}, "both versions answered during the rollout"


def test_running_again_trains_nothing_and_shows_the_same(stack: Stack, lived: str) -> None:
    again = stack.command("run", "churn")
    assert again.returncode == 0, again.stdout[-3000:]
    assert "version 2 is the new champion" in again.stdout
    assert len(Registry(stack.platform).versions("churn")) == 2


@pytest.fixture(scope="module")
def lived_at_once(stack: Stack, lived: str) -> dict[str, subprocess.CompletedProcess[str]]:
    """Return how `make run` ended for each model of one's own; they live side by side."""
    if not os.environ.get("FACTORY_TEST_DATA"):
        pytest.skip("FACTORY_TEST_DATA names no folder with real data sets")
    with ThreadPoolExecutor(len(OWN)) as pool:
        return dict(zip(OWN, pool.map(lambda model: stack.command("run", model), OWN), strict=True))


@pytest.mark.parametrize("model", OWN)
def test_models_of_ones_own_live_on_real_data_side_by_side(
    stack: Stack, lived_at_once: dict[str, subprocess.CompletedProcess[str]], model: str
) -> None:
    done = lived_at_once[model]
    assert done.returncode == 0, done.stdout[-5000:]
    champion = Registry(stack.platform).get(model, "champion")
    assert champion is not None
    windows = SignalStore(stack.platform).windows(model)
    assert not any(window.signals for window in windows[:4])
    assert any(window.signals for window in windows[4:])
    answer = httpx.get(f"{stack.platform.serving_url}/v2/models/{model}/ready", trust_env=False)
    assert answer.status_code == 200


def test_the_server_refuses_a_wrong_row_by_name(stack: Stack, lived: str) -> None:
    url = f"{stack.platform.serving_url}/v1/models/churn/predict"
    answer = httpx.post(url, json={"features": {"plan": 3}}, trust_env=False)
    assert answer.status_code == 422
    assert "monthly_fee" in answer.text
