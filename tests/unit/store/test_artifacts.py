"""The artifact store over a local folder and over memory."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from include.store.artifacts import ArtifactError, ArtifactStore
from tests.unit.store.artifacts_contract import ArtifactsContract


class TestFolder(ArtifactsContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return ArtifactStore((tmp_path / "store").as_uri())

    def test_an_upload_that_breaks_leaves_what_was_there(
        self, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "a").write_text("old")
        store.upload(tmp_path / "work", "x")
        for name in "ab":
            (tmp_path / "work" / name).write_text("new")
        put = store._fs.put_file

        def break_at_b(source: str, target: str) -> None:
            if source.endswith("b"):
                raise OSError(28, "No space left on device")
            put(source, target)

        monkeypatch.setattr(store._fs, "put_file", break_at_b)
        with pytest.raises(ArtifactError, match="No space left"):
            store.upload(tmp_path / "work", "x")
        assert store.files() == ["x/a"] and store.read_bytes("x/a") == b"old"
        assert [file.name for file in (tmp_path / "store").rglob("*") if file.is_file()] == ["a"]


class TestMemory(ArtifactsContract):
    @pytest.fixture
    def store(self) -> ArtifactStore:
        return ArtifactStore(f"memory://{uuid.uuid4().hex}/x")

    test_no_reader_sees_half_a_file = None  # type: ignore[assignment] # a process's memory has one writer
    test_writers_at_the_same_time_leave_what_one_of_them_wrote = None  # type: ignore[assignment]


@pytest.mark.parametrize("uri", ["nothing://bucket/x", "s3://", "s3://key:secret@bucket/x"])
def test_a_uri_that_cannot_be_used_is_refused_without_what_is_secret_in_it(uri: str) -> None:
    with pytest.raises(ArtifactError, match="artifacts_uri") as refused:
        ArtifactStore(uri).files()
    assert "secret" not in str(refused.value)


def test_a_folder_without_rights_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="look to the store's rights"):
        ArtifactStore((tmp_path / "file").as_uri()).write_bytes("x", b"")
