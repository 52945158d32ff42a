"""The screens that a person sees, in a real browser; FACTORY_SCREENSHOTS keeps them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.local.environment import ADMIN, stack_secrets
from include.registry.models import Registry
from tests.e2e.conftest import Stack

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --disable-background-networking --disable-component-update --disable-sync"


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Any]:
    """Return a browser page that is logged in to Airflow."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    assert stack.command("start").returncode == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())
        opened = browser.new_page(viewport={"width": 1500, "height": 950})
        opened.goto(stack.platform.airflow_url)
        opened.fill("input[name=username]", ADMIN)
        opened.fill("input[name=password]", stack_secrets(stack.platform)["airflow_password"])
        opened.click("button[type=submit]")
        opened.wait_for_selector("text=Dags", timeout=30_000)
        yield opened
        browser.close()


@pytest.fixture
def shot(page: Any, tmp_path: Path) -> Callable[[str], None]:
    """Return a function that keeps a screenshot under a name."""
    folder = Path(os.environ.get("FACTORY_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=str(folder / f"{name}.png"))


@pytest.fixture(scope="module")
def run_id(stack: Stack) -> str:
    """Return the DAG run that trained churn's first version."""
    first = Registry(stack.platform).get("churn", 1)
    assert first is not None, "the life of churn has not been run: run the whole folder"
    return first.run.split(".", 1)[1]


def test_every_pipeline_of_a_model_is_listed(stack: Stack, page: Any, shot: Callable[[str], None]) -> None:
    page.goto(f"{stack.platform.airflow_url}/dags?tags=churn")
    for pipeline in ("automl_pipeline", "model_training", "model_deployment", "model_monitoring", "model_retraining"):
        page.wait_for_selector(f"text=churn.{pipeline}", timeout=30_000)
    shot("dags")


def test_the_trigger_form_explains_its_fields(stack: Stack, page: Any, shot: Callable[[str], None]) -> None:
    page.goto(f"{stack.platform.airflow_url}/dags/churn.automl_pipeline")
    page.get_by_role("button", name="Trigger").first.click()
    for told in (
        "Seconds for the search",
        "Use rows from this event time on",
        "look for the best",
        "Train even though",
    ):
        page.wait_for_selector(f"text={told}", timeout=30_000)
    shot("trigger-form")


def test_a_finished_run_reads_as_its_stages(stack: Stack, page: Any, run_id: str, shot: Callable[[str], None]) -> None:
    page.goto(f"{stack.platform.airflow_url}/dags/churn.automl_pipeline/runs/{run_id}")
    for stage in ("Data", "Features", "Search", "Gates", "Registry"):
        page.wait_for_selector(f"text={stage}", timeout=30_000)
    page.get_by_label("Show Graph (Press g)").click()
    page.get_by_label("Expand all task groups").click()
    page.wait_for_selector("text=Snapshot", timeout=30_000)
    page.wait_for_timeout(2_000)  # the graph moves into place
    shot("run")


def test_a_task_links_to_its_reports(stack: Stack, page: Any, run_id: str, shot: Callable[[str], None]) -> None:
    page.goto(f"{stack.platform.airflow_url}/dags/churn.automl_pipeline/runs/{run_id}/tasks/gate/details")
    link = page.get_by_role("link", name="Gate report")
    link.wait_for(timeout=30_000)
    shot("gate-task")
    link.click()
    page.wait_for_selector("text=roc_auc", timeout=30_000)
    shot("gate-report")


def test_the_factory_page_shows_the_model(stack: Stack, page: Any, run_id: str, shot: Callable[[str], None]) -> None:
    page.goto(f"{stack.platform.airflow_url}/factory/")
    page.wait_for_selector("text=churn", timeout=30_000)
    page.wait_for_selector("text=3 of 7 windows raised a signal", timeout=30_000)
    shot("factory")


def test_mlflow_shows_the_run_with_its_artifacts(stack: Stack, page: Any, shot: Callable[[str], None]) -> None:
    version = Registry(stack.platform).get("churn", 1)
    assert version is not None
    from include.registry.tracking import Tracking
    from include.specs import load_spec

    tracking = Tracking(stack.platform, load_spec("churn"))
    page.goto(tracking.run_url(version.mlflow_run))
    page.wait_for_selector("text=roc_auc", timeout=60_000)
    shot("mlflow-run")
    page.goto(tracking.run_url(version.mlflow_run) + "/artifacts")
    page.wait_for_selector("text=model_card.md", timeout=60_000)
    shot("mlflow-artifacts")
