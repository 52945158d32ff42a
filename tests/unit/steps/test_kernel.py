"""A step leaves its files first and its result last; a retry starts over; nothing half-done is trusted."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from include.specs import FactoryError, Platform, TemporarilyUnavailableError
from include.steps import catalogue
from include.steps.__main__ import main
from include.steps.context import Outcome, StepContext
from include.steps.kernel import Call, execute
from include.store.artifacts import ArtifactStore
from include.store.runs import MissingResultError, RunFolder

SPEC = "name: m\nowner: me\ndata: {source: {path: x.csv}}\nproblem: {type: binary, target: y}\n"
RUN = "automl_pipeline.r1"


@pytest.fixture
def step(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[StepContext], Outcome]], Call]:
    """Return a maker that puts a function into the catalogue and gives the call that runs it."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "m.yaml").write_text(SPEC)
    monkeypatch.setenv("FACTORY_MODELS_DIR", str(models))

    def make(function: Callable[[StepContext], Outcome]) -> Call:
        module = ModuleType("tests_step")
        module.run = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tests_step", module)
        monkeypatch.setitem(catalogue.STEPS, "probe", "tests_step")
        return Call("probe", "probe", "m", "automl_pipeline", RUN, {"budget": 3})

    return make


def folder(platform: Platform) -> RunFolder:
    return RunFolder(ArtifactStore.of(platform), "m", RUN)


def test_files_and_values_are_published_and_the_result_comes_last(platform: Platform, step) -> None:
    def run(context: StepContext) -> Outcome:
        (context.work / "deep").mkdir()
        (context.work / "deep" / "rows.txt").write_text("7")
        with pytest.raises(MissingResultError):
            context.result("probe")
        return Outcome("seven rows", {"rows": 7}, {"Report": "http://x"})

    result = execute(step(run), platform)
    assert (result.status, result.values, result.artifacts) == ("done", {"rows": 7}, ["deep/rows.txt"])
    assert folder(platform).result("probe") == result
    assert folder(platform).store.read_bytes(f"runs/m/{RUN}/probe/deep/rows.txt") == b"7"


def test_a_retry_starts_over_and_leaves_nothing_of_the_first_try(platform: Platform, step) -> None:
    names = iter(["first", "second"])

    def run(context: StepContext) -> Outcome:
        (context.work / next(names)).write_text("x")
        return Outcome("done")

    call = step(run)
    execute(call, platform)
    assert execute(call, platform).artifacts == ["second"]
    assert not folder(platform).store.exists(f"runs/m/{RUN}/probe/first")


@pytest.mark.parametrize(
    ("error", "retryable"),
    [(FactoryError("no y"), False), (TemporarilyUnavailableError("away"), True), (ZeroDivisionError("x"), True)],
)
def test_a_failure_is_a_result_with_a_message(platform: Platform, step, error: Exception, retryable: bool) -> None:
    def run(context: StepContext) -> Outcome:
        raise error

    result = execute(step(run), platform)
    assert (result.status, result.retryable) == ("failed", retryable)
    assert str(error) in result.message


def test_half_a_result_is_no_result(platform: Platform, step) -> None:
    execute(step(lambda context: Outcome("done")), platform)
    where = folder(platform).path("probe", "result.json")
    content = folder(platform).store.read_bytes(where)
    folder(platform).store.write_bytes(where, content[: len(content) // 2])
    assert folder(platform).find("probe") is None


def test_the_spec_of_a_run_is_frozen_by_its_first_step(platform: Platform, step, tmp_path: Path) -> None:
    seen: list[str] = []

    def run(context: StepContext) -> Outcome:
        seen.append(context.spec.owner)
        return Outcome("done")

    call = step(run)
    execute(call, platform)
    (tmp_path / "models" / "m.yaml").write_text(SPEC.replace("owner: me", "owner: you"))
    execute(call, platform)
    assert seen == ["me", "me"]


def test_exit_codes_tell_done_rejected_and_failed_apart(platform: Platform, step) -> None:
    outcomes = iter([Outcome("ok"), Outcome("no", rejected=True), FactoryError("broken")])

    def run(context: StepContext) -> Outcome:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    step(run)
    words = ["check", "--model", "m", "--run", RUN, "--params", json.dumps({"budget": 1})]
    catalogue.STEPS["check"], kept = "tests_step", catalogue.STEPS["check"]
    try:
        assert [main(words), main(words), main(words)] == [0, 10, 1]
    finally:
        catalogue.STEPS["check"] = kept


def _hold_and_finish(call: Call, platform: Platform, begun: multiprocessing.synchronize.Event) -> None:
    def run(context: StepContext) -> Outcome:
        begun.set()
        time.sleep(1)
        return Outcome("by the first")

    sys.modules["tests_step"].run = run  # type: ignore[attr-defined]
    execute(call, platform)


def test_a_second_try_waits_and_takes_the_result_of_the_first(platform: Platform, step) -> None:
    calls: list[int] = []

    def run(context: StepContext) -> Outcome:
        calls.append(1)
        return Outcome("by the second")

    call = step(run)
    forked = multiprocessing.get_context("fork")
    begun = forked.Event()
    first = forked.Process(target=_hold_and_finish, args=(call, platform, begun))
    first.start()
    assert begun.wait(20)
    assert execute(call, platform).message == "by the first"
    first.join()
    assert not calls


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b"])
def test_a_run_folder_cannot_leave_its_store(platform: Platform, name: str) -> None:
    with pytest.raises(FactoryError):
        RunFolder(ArtifactStore.of(platform), "m", name)
