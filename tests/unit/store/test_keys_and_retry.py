"""The serving key, and patience with services that are away."""

from __future__ import annotations

import stat
import subprocess
import sys
import time

import pytest
from pydantic import SecretStr

from include.specs import FactoryError, Platform, TemporarilyUnavailableError
from include.store.keys import KEY_FILE, serving_key
from include.store.retry import keep_trying


def test_the_key_is_made_once_and_its_owner_alone_reads_it(platform: Platform) -> None:
    key = serving_key(platform)
    assert len(key) >= 32
    assert serving_key(platform) == key
    assert stat.S_IMODE((platform.home / KEY_FILE).stat().st_mode) == 0o600
    assert [file.name for file in platform.home.iterdir()] == [KEY_FILE]


def test_processes_that_ask_at_once_get_one_key(platform: Platform) -> None:
    script = (
        "from include.specs import load_platform; from include.store.keys import serving_key\n"
        "print(serving_key(load_platform()))"
    )
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(4)]
    assert len({process.communicate()[0] for process in started}) == 1


def test_the_setting_wins_and_leaves_no_file(platform: Platform) -> None:
    assert serving_key(platform.model_copy(update={"serving_key": SecretStr("given")})) == "given"
    assert not (platform.home / KEY_FILE).exists()


def test_an_empty_key_file_opens_no_door(platform: Platform) -> None:
    platform.home.mkdir(parents=True)
    (platform.home / KEY_FILE).write_text("\n")
    with pytest.raises(FactoryError, match="holds no key"):
        serving_key(platform)


def test_a_service_that_comes_back_is_waited_for() -> None:
    answers = iter([ConnectionError("down"), ConnectionError("down"), None])

    def call() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "up"

    assert keep_trying(call, "the service", 30, (ConnectionError,), "start it") == "up"


def test_a_service_that_stays_away_is_named_with_what_to_do() -> None:
    def call() -> None:
        raise ConnectionError("refused")

    started = time.monotonic()
    with pytest.raises(TemporarilyUnavailableError, match=r"MLflow at x did not answer for 1 s \(refused\); start it"):
        keep_trying(call, "MLflow at x", 1, (ConnectionError,), "start it")
    assert time.monotonic() - started >= 1


def test_another_error_is_no_reason_to_wait() -> None:
    with pytest.raises(KeyError):
        keep_trying(lambda: {}["x"], "the service", 60, (ConnectionError,), "start it")
