"""The stores over a real S3 server, which FACTORY_TEST_S3 names, with PostgreSQL and Redis of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from include.store.artifacts import ArtifactError, ArtifactStore
from tests.integration.conftest import free_port
from tests.integration.life_in_stores import LifeInStores
from tests.integration.postgres import postgres_running
from tests.integration.s3 import name_server, new_bucket
from tests.integration.stores import Stores
from tests.unit.store.artifacts_contract import ArtifactsContract

ENDPOINT = os.environ.get("FACTORY_TEST_S3", "")
KEYS = {name: os.environ.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
pytestmark = [
    pytest.mark.skipif(not ENDPOINT, reason="FACTORY_TEST_S3 names no S3 server (and AWS_ACCESS_KEY_ID … its user)"),
    pytest.mark.timeout(1200),
]


def remove(bucket: str) -> None:
    """Remove a bucket and what is in it."""
    client = boto3.session.Session().client("s3")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=one["Key"])
    client.delete_bucket(Bucket=bucket)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name_server(monkeypatch, ENDPOINT, KEYS)
    name = new_bucket()
    yield name
    name_server(monkeypatch, ENDPOINT, KEYS)
    remove(name)


class TestArtifacts(ArtifactsContract):
    @pytest.fixture
    def store(self, bucket: str) -> ArtifactStore:
        return ArtifactStore(f"s3://{bucket}/a b/factory")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AWS_ACCESS_KEY_ID", "nobody", "correct AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", "correct AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_wrong_keys_are_told(bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    store = ArtifactStore(f"s3://{bucket}/x", patience=30)
    for act in (store.files, lambda: store.read_bytes("a"), lambda: store.write_bytes("a", b"")):
        with pytest.raises(ArtifactError, match=says) as refused:
            act()
        assert "hunter2" not in str(refused.value)


def test_a_missing_bucket_is_told(bucket: str) -> None:
    store = ArtifactStore(f"s3://{bucket}-not/x", patience=30)
    for act in (store.files, lambda: store.read_bytes("a"), lambda: store.write_bytes("a", b"")):
        with pytest.raises(ArtifactError, match="there is no such bucket"):
            act()


def test_missing_rights_are_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks, so to say: requests without a signature are a user who may do nothing."""
    from botocore import UNSIGNED
    from botocore.config import Config

    store = ArtifactStore(f"s3://{bucket}/x", patience=30)
    monkeypatch.setattr(
        store._fs, "_client", boto3.client("s3", config=Config(signature_version=UNSIGNED), endpoint_url=ENDPOINT)
    )
    with pytest.raises(ArtifactError, match="grant them s3:ListBucket"):
        store.files()


def test_a_clock_that_is_wrong_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: datetime.now(UTC) - timedelta(hours=2))
        with pytest.raises(ArtifactError, match="clock of this machine"):
            ArtifactStore(f"s3://{bucket}/x", patience=30).files()


class TestLife(LifeInStores):
    @pytest.fixture(scope="class")
    def stores(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
        folder = tmp_path_factory.mktemp("stores")
        with postgres_running(free_port()) as uri:
            found = Stores(uri, ENDPOINT, KEYS, folder)
            try:
                yield found
            finally:
                found.close()
                with pytest.MonkeyPatch.context() as patch:
                    name_server(patch, ENDPOINT, KEYS)
                    remove(found.bucket)
