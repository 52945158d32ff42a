"""`.env` as `make up` makes it: complete, random, private, and never overwritten."""

from __future__ import annotations

import runpy
import stat
from pathlib import Path

import pytest

from include.specs import ROOT

made = runpy.run_path(str(ROOT / "docker" / "environment.py"))
complete, names = made["complete"], made["SECRETS"]


def read(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_it_makes_every_secret_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    file = tmp_path / "env"
    assert complete(file) == list(names)
    values = read(file)
    assert set(values) == set(names)
    assert len(set(values.values())) == len(names)
    assert all(len(value) >= 20 for value in values.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_it_leaves_what_is_there_and_adds_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# mine\nREDIS_PASSWORD=mine\nFACTORY_AIRFLOW_PASSWORD=\nTAG=1.2\n#S3_ACCESS_KEY=no\n")
    added = complete(file)
    assert "REDIS_PASSWORD" not in added
    assert {"S3_ACCESS_KEY", "FACTORY_AIRFLOW_PASSWORD"} <= set(added)
    assert read(file)["REDIS_PASSWORD"] == "mine"
    assert read(file)["TAG"] == "1.2"
    assert file.read_text().startswith("# mine\n")
    assert complete(file) == []


@pytest.mark.parametrize("name", names)
def test_the_template_and_the_compose_file_know_each(name: str) -> None:
    assert f"#{name}=" in (ROOT / ".env.template").read_text()
    assert f"${{{name}" in (ROOT / "docker" / "docker-compose.yml").read_text()


def test_a_fernet_key_is_one(tmp_path: Path) -> None:
    from cryptography.fernet import Fernet

    complete(tmp_path / "env")
    key = Fernet(read(tmp_path / "env")["AIRFLOW_FERNET_KEY"].encode())
    assert key.decrypt(key.encrypt(b"x")) == b"x"
