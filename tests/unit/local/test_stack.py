"""The embedded stack's settings: secrets in files of their owner, none in supervisord's, ports looked at first."""

from __future__ import annotations

import json
import socket
import stat

import pytest

from include.local.environment import stack_environment, stack_secrets
from include.local.life import Journal
from include.local.stack import Stack, StackError
from include.specs import Platform, load_platform


def test_secrets_are_made_once_and_readable_by_their_owner_alone(platform: Platform) -> None:
    first = stack_secrets(platform)
    assert first == stack_secrets(platform)
    assert len(set(first.values())) == 3
    stack_environment(platform)
    for name in ("secrets.json", "airflow/passwords.json"):
        assert stat.S_IMODE((platform.home / name).stat().st_mode) == 0o600
    assert json.loads((platform.home / "airflow" / "passwords.json").read_text()) == {
        "admin": first["airflow_password"]
    }


def test_nothing_secret_is_in_the_supervisors_file(platform: Platform) -> None:
    stack = Stack(platform)
    stack._write_config()
    text = stack.config.read_text()
    assert not [secret for secret in stack_secrets(platform).values() if secret in text]
    assert "stopsignal = INT" in text


def test_nothing_phones_home(platform: Platform) -> None:
    environment = stack_environment(platform)
    assert environment["DO_NOT_TRACK"] == environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_a_taken_port_is_named_with_the_setting_that_moves_it(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("FACTORY_SERVING_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("FACTORY_AIRFLOW_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("FACTORY_MLFLOW_URI", "http://127.0.0.1:2")
        load_platform.cache_clear()
        with pytest.raises(StackError, match=f"port {port} is taken.*FACTORY_SERVING_URL"):
            Stack(load_platform()).up(print)


def test_a_stack_that_does_not_run_says_so(platform: Platform) -> None:
    stack = Stack(platform)
    assert not stack.running()
    assert not stack.stop()
    assert "`make run` starts it" in stack.status()


def test_the_journal_survives_an_interruption(platform: Platform) -> None:
    path = platform.home / "life" / "m.json"
    Journal.load(path).write("train", run_id="a")
    Journal.load(path).write("train", labels=3)
    assert Journal.load(path).stages == {"train": {"run_id": "a", "labels": 3}}
