"""A package is served only if it is what was registered."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.registry.cache import DigestError, cached_package, package_digest


@pytest.fixture
def registered(tmp_path):
    folder = tmp_path / "registered"
    folder.mkdir()
    (folder / "factory.json").write_text('{"model": "m"}')
    (folder / "model.skops").write_bytes(b"weights" * 1000)
    return folder


class Download:
    def __init__(self, source):
        self.source, self.count = source, 0

    def __call__(self, target):
        self.count += 1
        return shutil.copytree(self.source, target)


def test_a_package_is_downloaded_once(tmp_path, registered):
    download, folder = Download(registered), tmp_path / "cache" / "m" / "1"
    for _ in range(3):
        assert cached_package(folder, package_digest(registered), download, "m version 1") == folder
    assert download.count == 1
    assert package_digest(folder) == package_digest(registered)


def test_a_file_that_was_not_registered_is_refused(tmp_path, registered):
    digest = package_digest(registered)
    (registered / "surprise.py").write_text("print('boo')")
    with pytest.raises(DigestError, match="m version 1"):
        cached_package(tmp_path / "1", digest, Download(registered), "m version 1")


def test_every_file_of_a_package_counts_in_folders_too(tmp_path, registered):
    (registered / "saved_model" / "variables").mkdir(parents=True)
    (registered / "saved_model" / "variables" / "data").write_bytes(b"1")
    digest = package_digest(registered)
    folder = cached_package(tmp_path / "1", digest, Download(registered), "m version 1")
    assert (folder / "saved_model" / "variables" / "data").read_bytes() == b"1"
    (folder / "saved_model" / "variables" / "data").write_bytes(b"2")
    assert package_digest(folder) != digest


def test_packages_of_two_files_keep_the_digest_that_they_were_registered_with(registered):
    assert package_digest(registered) == "e76ae5ae3bd71d80c3017fc3cd29b760416a86dce76c61096de5de4277a54874"


def test_other_files_than_the_registered_ones_are_refused(tmp_path, registered):
    digest = package_digest(registered)
    (registered / "model.skops").write_bytes(b"evil")
    with pytest.raises(DigestError, match=r"m version 1: .* train and register"):
        cached_package(tmp_path / "cache" / "1", digest, Download(registered), "m version 1")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["1.lock"]


@pytest.mark.parametrize("damage", ["changed", "removed", "emptied"])
def test_a_damaged_cache_is_mended(tmp_path, registered, damage):
    download, folder = Download(registered), tmp_path / "1"
    cached_package(folder, package_digest(registered), download, "m version 1")
    if damage == "changed":
        (folder / "model.skops").write_bytes(b"weights")
    elif damage == "removed":
        (folder / "factory.json").unlink()
    else:
        shutil.rmtree(folder)
        folder.mkdir()
    cached_package(folder, package_digest(registered), download, "m version 1")
    assert package_digest(folder) == package_digest(registered)
    assert download.count == 2


def test_many_may_fetch_at_once(tmp_path, registered):
    download, folder, digest = Download(registered), tmp_path / "1", package_digest(registered)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: cached_package(folder, digest, download, "m"), range(64)))
    assert set(found) == {folder}
    assert package_digest(folder) == digest
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
