"""What every test may use: a platform of its own, and the folder of real data when there is one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from include.specs import ModelSpec, Platform, load_platform
from include.steps.context import StepContext


@pytest.fixture(autouse=True)
def import_path() -> Iterator[None]:
    """Put ``sys.path`` back: MLflow leaves the code of a model that it loads in front, and ours holds part of `include`.

    Processes that a later test spawns would import that part instead of the whole.
    """
    before = list(sys.path)
    yield
    sys.path = before


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Return platform settings whose home is a fresh folder; every process that the test starts shares it."""
    for name in [name for name in os.environ if name.startswith("FACTORY_") and name != "FACTORY_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FACTORY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FACTORY_SERVICE_RETRY_SECONDS", "2")
    load_platform.cache_clear()
    yield load_platform()
    load_platform.cache_clear()


@pytest.fixture
def context(platform: Platform, tmp_path: Path) -> Iterator[Callable[..., StepContext]]:
    """Return a maker of step contexts: ``context(spec, "prepare", pipeline=…, run=…, **params)``."""
    with ExitStack() as resources:

        def make(
            spec: ModelSpec,
            step: str,
            pipeline: str = "automl_pipeline",
            run: str = "automl_pipeline.test",
            **params: Any,
        ) -> StepContext:
            work = tmp_path / "work" / run / step
            work.mkdir(parents=True, exist_ok=True)
            return StepContext(spec, platform, step, step, pipeline, run, params, work, resources)

        yield make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data sets named by FACTORY_TEST_DATA; skip where it is not set."""
    folder = os.environ.get("FACTORY_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FACTORY_TEST_DATA names no folder with real data sets")
    return Path(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Where FACTORY_TEST_NO_SKIP is set, everything is there that a test may need: a skip is a failure."""
    report = yield
    if report.skipped and os.environ.get("FACTORY_TEST_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although FACTORY_TEST_NO_SKIP is set: {report.longrepr}"
    return report
