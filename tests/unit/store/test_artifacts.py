"""The artifact store over a local folder and over memory: whole files, relative paths, nothing outside."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

import pytest

from include.store.artifacts import ArtifactError, ArtifactStore


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "a b").as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}/x")


def test_bytes_come_back_and_are_replaced(store: ArtifactStore) -> None:
    assert not store.exists("runs/a.json")
    for content in (b"first", b"", b"\x00\xff" * 1000):
        store.write_bytes("runs/a.json", content)
        assert store.read_bytes("runs/a.json") == content
    assert store.files() == ["runs/a.json"]


def test_a_missing_artifact_is_named(store: ArtifactStore) -> None:
    with pytest.raises(ArtifactError, match=r"runs/none\.json"):
        store.read_bytes("runs/none.json")
    with pytest.raises(ArtifactError, match="none"), store.local("none"):
        pass
    store.delete("none")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd"])
def test_no_path_leaves_the_store(store: ArtifactStore, path: str) -> None:
    for act in (store.read_bytes, store.exists, store.files, store.folders, store.delete):
        with pytest.raises(ArtifactError, match="leaves the artifact store"):
            act(path)
    with pytest.raises(ArtifactError):
        store.write_bytes(path, b"")


def test_folders_are_copied_listed_replaced_and_removed(store: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "work"
    (source / "plots").mkdir(parents=True)
    (source / "plots" / "roc curve.png").write_bytes(b"png")
    (source / "metrics.json").write_bytes(b"{}")
    store.upload(source, "runs/churn/r1/evaluate")
    store.upload(source / "metrics.json", "runs/churn/r2/m.json")
    assert store.files("runs/churn") == [
        "runs/churn/r1/evaluate/metrics.json",
        "runs/churn/r1/evaluate/plots/roc curve.png",
        "runs/churn/r2/m.json",
    ]
    assert store.folders("runs/churn") == ["r1", "r2"]
    assert store.folders("nowhere") == store.files("nowhere") == []
    (source / "metrics.json").unlink()
    store.upload(source, "runs/churn/r1/evaluate")
    assert store.files("runs/churn/r1") == ["runs/churn/r1/evaluate/plots/roc curve.png"]
    store.delete("runs/churn/r1")
    assert store.folders("runs/churn") == ["r2"]


def test_an_artifact_is_given_as_a_local_path(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "deep" / "a.txt").write_text("a")
    store.upload(tmp_path / "work", "runs/w")
    with store.local("runs/w") as folder:
        assert (folder / "deep" / "a.txt").read_text() == "a"
    with store.local("runs/w/deep/a.txt") as file:
        assert (file.name, file.read_text()) == ("a.txt", "a")


def test_no_reader_sees_half_a_file(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    contents = [bytes([letter]) * 3_000_000 for letter in b"ab"]
    store.write_bytes("x", contents[0])
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.write_bytes("x", contents[number % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [store.read_bytes("x") for _ in range(100)]
    finally:
        stop.set()
        writer.join()
    assert all(content in contents for content in seen)
    assert store.files() == ["x"]
