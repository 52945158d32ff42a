"""An S3 server of this session: moto's, on a free port of the loopback interface."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "swordfish", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def moto_running(port: int, folder: Path) -> Iterator[str]:
    """Run a moto server until the block ends; give its endpoint."""
    from tests.integration.conftest import running

    endpoint = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, f"{endpoint}/moto-api/", folder / "moto.log"):
        yield endpoint


def name_server(patch: pytest.MonkeyPatch, endpoint: str, keys: dict[str, str]) -> None:
    """Let this process, and those that it starts, speak to the S3 server at ``endpoint``."""
    for name, value in {**keys, "AWS_ENDPOINT_URL": endpoint}.items():
        patch.setenv(name, value)


def new_bucket() -> str:
    """Return the name of a new bucket of the server that the environment names."""
    name = f"factory-{uuid.uuid4().hex[:12]}"
    boto3.session.Session().client("s3").create_bucket(Bucket=name)
    return name
