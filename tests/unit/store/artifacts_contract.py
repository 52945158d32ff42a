"""What an artifact store promises, whatever keeps its bytes: run over a folder, memory, moto and a real S3 server."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.store.artifacts import ArtifactError, ArtifactStore


class ArtifactsContract:
    """Inherit it, and give the fixture ``store``: an empty artifact store."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        raise NotImplementedError

    def test_bytes_come_back_and_are_replaced(self, store: ArtifactStore) -> None:
        assert not store.exists("runs/a.json")
        for content in (b"first", b"", b"\x00\xff" * 1000):
            store.write_bytes("runs/a.json", content)
            assert store.read_bytes("runs/a.json") == content
        assert store.files() == ["runs/a.json"]

    def test_a_missing_artifact_is_named(self, store: ArtifactStore) -> None:
        with pytest.raises(ArtifactError, match=r"runs/none\.json: no such artifact"):
            store.read_bytes("runs/none.json")
        with pytest.raises(ArtifactError, match="none: no such artifact"), store.local("none"):
            pass
        store.delete("none")
        assert store.folders("nowhere") == store.files("nowhere") == store.files() == store.folders() == []

    @pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd"])
    def test_no_path_leaves_the_store(self, store: ArtifactStore, path: str) -> None:
        for act in (store.read_bytes, store.exists, store.files, store.folders, store.delete):
            with pytest.raises(ArtifactError, match="leaves the artifact store"):
                act(path)
        with pytest.raises(ArtifactError):
            store.write_bytes(path, b"")

    def test_a_name_that_begins_like_another_is_another(self, store: ArtifactStore) -> None:
        for name in ("runs/a/x", "runs/a-1/x", "runs/a.txt", "runs/ab/x"):
            store.write_bytes(name, name.encode())
        assert store.files("runs/a") == ["runs/a/x"]
        assert store.folders("runs") == ["a", "a-1", "ab"]
        assert store.exists("runs/a") and not store.exists("runs/a-") and not store.exists("run")
        store.delete("runs/a")
        assert store.files() == ["runs/a-1/x", "runs/a.txt", "runs/ab/x"]

    def test_folders_are_copied_listed_replaced_and_removed(self, store: ArtifactStore, tmp_path: Path) -> None:
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
        (source / "metrics.json").unlink()
        store.upload(source, "runs/churn/r1/evaluate")
        assert store.files("runs/churn/r1") == ["runs/churn/r1/evaluate/plots/roc curve.png"]
        store.delete("runs/churn/r1")
        assert store.folders("runs/churn") == ["r2"]

    def test_a_file_takes_the_place_of_a_folder_and_back(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a").write_text("a")
        (tmp_path / "file").write_text("file")
        store.upload(tmp_path / "folder", "x")
        store.upload(tmp_path / "file", "x")
        assert store.files() == ["x"] and store.read_bytes("x") == b"file"
        store.upload(tmp_path / "folder", "x")
        assert store.files() == ["x/a"]

    def test_an_artifact_is_given_as_a_local_path(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "work" / "deep").mkdir(parents=True)
        (tmp_path / "work" / "deep" / "a.txt").write_text("a")
        store.upload(tmp_path / "work", "runs/w")
        with store.local("runs/w") as folder:
            assert (folder / "deep" / "a.txt").read_text() == "a"
        with store.local("runs/w/deep/a.txt") as file:
            assert (file.name, file.read_text()) == ("a.txt", "a")

    def test_names_of_every_kind_come_back(self, store: ArtifactStore, tmp_path: Path) -> None:
        names = ["größe (1).json", "日本/表.csv", "a+b&c=d%20e.txt", "quote'\"s.txt", "deep/er/ .x"]
        for name in names:
            file = tmp_path / "work" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
        store.upload(tmp_path / "work", "runs/n")
        assert store.files("runs/n") == sorted(f"runs/n/{name}" for name in names)
        with store.local("runs/n") as folder:
            assert {name: (folder / name).read_text() for name in names} == {name: name for name in names}
        store.delete("runs")
        assert store.files() == []

    def test_a_large_file_comes_back_whole(self, store: ArtifactStore, tmp_path: Path) -> None:
        block = os.urandom(1 << 20)
        large, total = tmp_path / "large.bin", hashlib.sha256()
        with large.open("wb") as file:
            for number in range(70):
                part = bytes([number]) + block[1:]
                file.write(part)
                total.update(part)
        store.upload(large, "runs/large.bin")
        with store.local("runs/large.bin") as found, found.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").digest() == total.digest()

    def test_a_folder_of_more_files_than_a_listing_holds(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "many").mkdir()
        for number in range(1_050):
            (tmp_path / "many" / f"{number:04d}").write_bytes(b"%d" % number)
        store.upload(tmp_path / "many", "runs/many")
        assert store.files("runs") == [f"runs/many/{number:04d}" for number in range(1_050)]
        with store.local("runs/many") as folder:
            assert {int(file.name): int(file.read_bytes()) for file in folder.iterdir()} == {n: n for n in range(1_050)}
        store.delete("runs/many")
        assert store.files() == [] and not store.exists("runs/many")

    def test_no_reader_sees_half_a_file(self, store: ArtifactStore) -> None:
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
            seen = [store.read_bytes("x") for _ in range(50)]
        finally:
            stop.set()
            writer.join()
        assert all(content in contents for content in seen)
        assert store.files() == ["x"]

    def test_writers_at_the_same_time_leave_what_one_of_them_wrote(self, store: ArtifactStore, tmp_path: Path) -> None:
        for name in "abcd":
            (tmp_path / name).mkdir()
            (tmp_path / name / "same").write_text(name)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: store.write_bytes("one", b"%d" % (number % 4) * 1000), range(40)))
            list(pool.map(lambda name: store.upload(tmp_path / name, "folder"), "abcd" * 3))
        assert store.read_bytes("one") in [b"%d" % number * 1000 for number in range(4)]
        assert store.files() == ["folder/same", "one"]
        assert store.read_bytes("folder/same").decode() in "abcd"
