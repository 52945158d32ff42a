"""The process runtime: what a task makes of a step's end, whatever way it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.specs.loader import ROOT
from include.store.artifacts import ArtifactStore
from include.store.runs import RunFolder
from include.workflow.command import StepCall
from include.workflow.operator import StepOperator
from include.workflow.rejected import RejectedOperator
from tests.unit.workflow.fakes import RUN, leave_result, task_context

LEAVE = """
import sys
from pathlib import Path
from include.specs import load_platform
from tests.unit.workflow.fakes import leave_result
leave_result(load_platform(), Path({work!r}), "gate", {status!r}, **{more!r})
"""


@pytest.fixture
def gate(platform, tmp_path):
    """Return a maker of a 'gate' task whose process runs the given code instead of the step."""

    def make(code: str, **kwargs: object) -> StepOperator:
        call = StepCall("shop", "automl_pipeline", "gate", "gate")
        operator = StepOperator(task_id="gate", call=call, **kwargs)
        operator.arguments = ["-c", textwrap.dedent(code)]
        return operator

    return make


@pytest.fixture
def leaving(gate, tmp_path):
    """Return a maker of a 'gate' task whose process leaves a result."""

    def make(status: str, after: str = "", **more: object) -> StepOperator:
        return gate(LEAVE.format(work=str(tmp_path / "work"), status=status, more=more) + after)

    return make


def test_a_step_that_is_done_hands_on_its_small_result(leaving):
    operator = leaving("done", values={"verdict": "pass"}, links={"Gate report": "http://x/gates.html"})
    context = task_context()
    assert operator.execute(context) == {
        "status": "done",
        "message": "gate is done",
        "values": {"verdict": "pass"},
        "links": {"Gate report": "http://x/gates.html"},
    }
    shown = {link.name: link.get_link(operator, ti_key=None) for link in operator.operator_extra_links}
    assert shown == {"Gate report": "http://x/gates.html", "MLflow run": ""}
    assert len({link.xcom_key for link in operator.operator_extra_links}) == 2


def test_a_rejection_skips_the_task_and_keeps_the_reason(leaving):
    context = task_context()
    with pytest.raises(AirflowSkipException, match="rejected: gate is rejected"):
        leaving("rejected", "sys.exit(10)").execute(context)
    assert context["ti"].pushed["return_value"]["message"] == "gate is rejected"


def test_a_failure_is_retried_only_where_that_may_help(leaving):
    with pytest.raises(AirflowFailException, match="gate is failed"):
        leaving("failed", "sys.exit(1)").execute(task_context())
    with pytest.raises(AirflowException, match="gate is failed") as caught:
        leaving("failed", "sys.exit(1)", retryable=True).execute(task_context())
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("", "exit code 0"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL; was there enough memory"),
    ],
)
def test_without_a_result_a_step_has_failed_whatever_its_exit_code(gate, code, how):
    with pytest.raises(AirflowException, match=how) as caught:
        gate(code).execute(task_context())
    assert not isinstance(caught.value, AirflowFailException)


def test_the_result_of_an_earlier_try_proves_nothing(gate, platform, tmp_path):
    leave_result(platform, tmp_path / "work", "gate", ago=1)
    with pytest.raises(AirflowException, match="without a valid result"):
        gate("").execute(task_context())


def test_half_a_result_is_none(gate, platform, tmp_path):
    leave_result(platform, tmp_path / "work", "gate")
    file = next(Path(platform.home).rglob("gate/result.json"))
    code = f"from pathlib import Path; p = Path({str(file)!r}); p.write_text(p.read_text()[:40])"
    with pytest.raises(AirflowException, match="without a valid result"):
        gate(code).execute(task_context())


def test_what_the_step_says_is_in_the_log_with_its_level(leaving, capsys):
    leaving("done", "print('WARNING include.x: mind this', file=sys.stderr); print('plain')").execute(task_context())
    said = capsys.readouterr().out
    assert re.search(r"warning.*include\.x: mind this", said)
    assert re.search(r"info.*plain", said)


GROUP = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({file!r}).write_text(str(child.pid))
time.sleep({seconds})
"""


def wait_for(condition, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_killing_the_task_ends_the_step_and_what_it_started(gate, tmp_path):
    file = tmp_path / "pid"
    operator = gate(GROUP.format(file=str(file), seconds=600))
    ended: list[BaseException] = []

    def run() -> None:
        try:
            operator.execute(task_context())
        except AirflowException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert wait_for(lambda: file.is_file() and file.read_text())
    operator.on_kill()
    thread.join(20)
    assert "SIGTERM" in str(ended[0])
    assert wait_for(lambda: gone(int(file.read_text())))


def test_what_a_step_leaves_running_does_not_hold_the_task(gate, tmp_path):
    file = tmp_path / "pid"
    with pytest.raises(AirflowException, match="exit code 0"):
        gate(GROUP.format(file=str(file), seconds=0)).execute(task_context())
    assert wait_for(lambda: gone(int(file.read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is told to its children on Linux only")
def test_a_step_ends_when_its_worker_is_killed(platform, tmp_path):
    file = tmp_path / "pid"
    worker = f"""
import os
os.environ["AIRFLOW_HOME"] = {os.environ["AIRFLOW_HOME"]!r}
from include.workflow.command import StepCall
from include.workflow.operator import StepOperator
operator = StepOperator(task_id="gate", call=StepCall("shop", "automl_pipeline", "gate", "gate"))
operator.arguments = ["-c", "import os, pathlib, time; pathlib.Path({str(file)!r}).write_text(str(os.getpid())); time.sleep(600)"]
operator._run()
"""
    process = subprocess.Popen([sys.executable, "-c", worker], cwd=ROOT)
    try:
        assert wait_for(lambda: file.is_file() and file.read_text(), 60)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert wait_for(lambda: gone(int(file.read_text())))
    finally:
        process.kill()


def test_a_task_that_mends_runs_only_after_trouble(gate, platform, tmp_path):
    calm = task_context(states={"gate": "success", "search": "skipped"})
    with pytest.raises(AirflowSkipException, match="nothing for 'gate' to do"):
        gate("", mends=["search"]).execute(calm)
    with pytest.raises(AirflowException, match="without a valid result"):
        gate("", mends=["search"]).execute(task_context(states={"search": "failed"}))
    leave_result(platform, tmp_path / "work", "search", "rejected")
    with pytest.raises(AirflowException, match="without a valid result"):
        gate("", mends=["search"]).execute(calm)


def rejected(**kwargs: object) -> RejectedOperator:
    call = StepCall("shop", "automl_pipeline", "rejected", "rejected")
    return RejectedOperator(task_id="rejected", call=call, asked=["snapshot", "gate"], **kwargs)


def test_the_rejected_task_says_which_step_said_no(platform, tmp_path):
    leave_result(platform, tmp_path / "work", "snapshot")
    leave_result(platform, tmp_path / "work", "gate", "rejected", message="roc_auc 0.6 < 0.7")
    assert rejected().execute(task_context()) == {"task": "gate", "message": "roc_auc 0.6 < 0.7"}


def test_a_persons_no_is_kept_in_the_run_folder(platform):
    answer = {"chosen_options": ["Reject"], "responded_by_user": {"id": "1", "name": "ada"}}
    said = rejected(approval="approval").execute(task_context(answers={"approval": answer}))
    assert said == {"task": "approval", "message": "ada did not approve the release"}
    kept = RunFolder(ArtifactStore.of(platform), "shop", RUN).result("rejected")
    assert (kept.status, kept.message) == ("rejected", "ada did not approve the release")
