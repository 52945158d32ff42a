"""The process runtime: a task starts its step in a process of its own, and believes the result manifest alone."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator

from include.specs.loader import ROOT
from include.workflow.command import StepCall
from include.workflow.links import links_of
from include.workflow.log_lines import repeat
from include.workflow.result import conclude, fresh_result, skip_without_trouble

GRACE_SECONDS = 3.0
"""How long a step may take to stop; Airflow kills a task 5 seconds after it asked it to stop."""
_PR_SET_PDEATHSIG = 1


class StepOperator(BaseOperator):
    """Run one step in a process beside Airflow's worker.

    Attributes:
        call: which step.
        arguments: its command line, templated.
        mends: run only when one of these tasks failed or rejected the run; always when empty.
        place: which of several tasks that run the step at the same time, from 1; None when it is the only one.
    """

    template_fields: Sequence[str] = ("arguments",)

    def __init__(self, *, call: StepCall, mends: Sequence[str] = (), place: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.call = call.at(place)
        self.place = place
        self.arguments = self.call.arguments()
        self.mends = tuple(mends)
        self.links: dict[str, str] = {}
        self.operator_extra_links = links_of(call.step)
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the step and return its small result; see `conclude` for how it ends."""
        if self.mends:
            skip_without_trouble(self.call, context, self.mends)
        started = datetime.now(UTC)
        code = self._run()
        result = fresh_result(self.call, context, started)
        self.links = result.links if result is not None else {}
        return conclude(self.call, context, result, _ending(code))

    def on_kill(self) -> None:
        """Stop the step and every process that it started."""
        if self._process is not None:
            stop_group(self._process)

    def _run(self) -> int:
        """Start the step, write what it says into the task's log, and return its exit code."""
        self._process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        process = self._process
        threading.Thread(target=_close_group, args=(process,), daemon=True).start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                repeat(line, self.log)
            return process.wait()
        finally:
            stop_group(process)


def stop_group(process: subprocess.Popen[str]) -> None:
    """End the process group that ``process`` leads: ask first, then kill."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            return
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _close_group(process: subprocess.Popen[str]) -> None:
    """Wait for the step; end what it left running, which would hold the log open for ever."""
    process.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _die_with_parent() -> Callable[[], None] | None:
    """Return what makes a child end with its worker, even when that is killed with -9; None where the OS cannot."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: nothing is imported between fork and exec

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + ("; was there enough memory?" if name == "SIGKILL" else "")
