"""Logs: lines that machines and people read, and an access log that holds nobody up."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

import pytest

from include.serving.observability import access_log
from include.serving.observability.access_log import AccessLog
from include.serving.observability.logs import JsonLines, TextLines


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.getLogger("include.serving.x").makeRecord(
        "include.serving.x", logging.WARNING, __file__, 1, message, (), None, extra=extra
    )


def test_a_json_line_is_one_line_with_what_it_belongs_to_and_no_other_extra() -> None:
    line = JsonLines().format(record('two\nlines "quoted" ü', request_id="r-1", model="churn", plan="secret"))
    assert "\n" not in line
    entry = json.loads(line)
    assert entry["message"] == 'two\nlines "quoted" ü'
    assert (entry["request_id"], entry["model"], entry["level"]) == ("r-1", "churn", "WARNING")
    assert not {"plan", "version"} & set(entry)


def test_an_exception_is_part_of_its_line() -> None:
    try:
        {}["gone"]
    except KeyError:
        failed = record("broke")
        failed.exc_info = sys.exc_info()
    assert "KeyError" in json.loads(JsonLines().format(failed))["exception"]


def test_a_text_line_names_the_request_at_its_end() -> None:
    assert (
        TextLines()
        .format(record("broke", request_id="r-1"))
        .endswith("WARNING include.serving.x: broke [request_id=r-1]")
    )
    assert TextLines().format(record("started")).endswith("x: started")


@pytest.mark.parametrize("as_json", [True, False])
def test_access_lines_are_written_together_and_what_is_too_much_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, as_json: bool
) -> None:
    monkeypatch.setattr(access_log, "MOST_WAITING", 2)
    file = tmp_path / "access.log"
    lines = AccessLog(os.open(file, os.O_CREAT | os.O_WRONLY), as_json)
    for number in range(5):
        lines.note(f"r-{number}", "POST", "/v1/models/{model}/predict", 200, 1.5, 1, "shop")
    assert file.read_text() == ""
    lines.flush()
    written = file.read_text().splitlines()
    assert len(written) == 2
    if as_json:
        entry = json.loads(written[1])
        assert (entry["request_id"], entry["ms"], entry["caller"]) == ("r-1", 1.5, "shop")
    else:
        assert written[0].endswith("POST /v1/models/{model}/predict 200 1.500 ms 1 rows by shop [request_id=r-0]")
    assert "3 lines of the access log were dropped" in caplog.text


def test_an_access_log_that_cannot_be_written_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    descriptor = os.open(tmp_path / "closed", os.O_CREAT | os.O_RDONLY)
    lines = AccessLog(descriptor, as_json=True)
    lines.note("r", "GET", "/health", 200, 0.1, 0, "")
    lines.flush()
    assert "cannot be written" in caplog.text
