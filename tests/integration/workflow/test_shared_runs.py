"""How runs end whose search is shared by mapped tasks, by Airflow's own scheduling rules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from include.specs.loader import ROOT
from tests.integration.workflow.test_runs import SPEC, airflow, states

__all__ = ["airflow"]
pytestmark = [pytest.mark.slow, pytest.mark.airflow, pytest.mark.timeout(900)]
CROWD = SPEC.replace("name: shop", "name: crowd") + "search: {workers: 2}\n"
SCENARIOS = {
    "shared": {"outcomes": {}},
    "one_lost": {"outcomes": {"search_worker_2": "failed"}},
    "all_lost": {"outcomes": {"search_worker_1": "failed", "search_worker_2": "failed"}},
    "rejected": {"outcomes": {"snapshot": "rejected"}},
}
WORKERS = ("Search worker 1", "Search worker 2")


@pytest.fixture(scope="module")
def ended(airflow: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Run every scenario and return the states."""
    Path(airflow["FACTORY_MODELS_DIR"], "crowd.yaml").write_text(CROWD)
    answer = tmp_path_factory.mktemp("answer") / "ended.json"
    scenarios = {name: {"model": "crowd", "pipeline": "automl_pipeline", **one} for name, one in SCENARIOS.items()}
    command = [sys.executable, str(Path(__file__).with_name("runs.py")), json.dumps(scenarios), str(answer)]
    done = subprocess.run(command, env=airflow, cwd=ROOT, capture_output=True, text=True)
    assert answer.is_file(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(answer.read_text())


def test_the_workers_bear_their_places_and_the_search_follows(ended: dict[str, dict[str, str]]) -> None:
    assert states(ended["shared"], "run", *WORKERS, "search", "registered") == ["success"] * 5


def test_one_lost_worker_does_not_lose_the_run(ended: dict[str, dict[str, str]]) -> None:
    found = states(ended["one_lost"], "run", *WORKERS, "search", "registered")
    assert found == ["success", "success", "failed", "success", "success"]


def test_where_every_worker_is_lost_the_run_has_failed(ended: dict[str, dict[str, str]]) -> None:
    found = states(ended["all_lost"], "run", *WORKERS, "search", "registered")
    assert found == ["failed", "failed", "failed", "upstream_failed", "upstream_failed"]


def test_a_rejected_run_starts_no_worker(ended: dict[str, dict[str, str]]) -> None:
    run = ended["rejected"]
    assert states(run, "run", "search", "registered", "rejected") == ["success", "skipped", "skipped", "success"]
    assert not [name for name, state in run.items() if "worker" in name and state != "skipped"]
