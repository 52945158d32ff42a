"""The artifact store: files under one fsspec URI, each of which a reader sees whole or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

import fsspec

from include.specs.errors import FactoryError
from include.specs.platform import Platform
from include.store.filesystems import AwayError, RefusedError, file_system_of
from include.store.retry import keep_trying

T = TypeVar("T")
_STAGING = ".staging"
"""Folder in which a store that renames gathers what is not whole yet."""
_AT_ONCE = 8
"""Files that travel to or from an object store side by side."""


class ArtifactError(FactoryError):
    """An artifact is missing, its path leaves the store, or the store refuses."""


class MissingArtifactError(ArtifactError):
    """There is no such artifact."""


class ArtifactStore:
    """Files below a root URI (``file:///…``, ``s3://bucket/prefix``, ``memory://…``), addressed by relative paths.

    Every method raises ArtifactError where the store refuses, and TemporarilyUnavailableError where it did not answer
    for ``patience`` seconds. Of writers of one path the last one wins.

    Args:
        uri: the root.
        patience: how long to keep trying (seconds).
    """

    def __init__(self, uri: str, patience: float = 0.0) -> None:
        self.uri = uri.rstrip("/")
        self._patience = patience
        place = urlsplit(uri)
        if place.scheme.startswith("s3") and not place.netloc:
            raise ArtifactError(f"artifacts_uri '{uri}' names no bucket; write it as s3://bucket/prefix")
        if "@" in place.netloc:
            raise ArtifactError("artifacts_uri holds a user or a password; give AWS_ACCESS_KEY_ID and the like instead")
        self._fs: fsspec.AbstractFileSystem
        try:
            self._fs, self._root = file_system_of(self.uri)
        except (ImportError, ValueError, OSError) as error:
            raise ArtifactError(
                f"artifacts_uri '{self.uri}': {_line(error)}; give file:///folder or s3://bucket/prefix, or install "
                "the fsspec package of this kind of URI"
            ) from error

    @classmethod
    def of(cls, platform: Platform) -> ArtifactStore:
        """Return the platform's artifact store."""
        return cls(platform.artifacts_uri, platform.service_retry_seconds)

    def read_bytes(self, path: str) -> bytes:
        """Return the content of ``path``.

        Raises:
            MissingArtifactError: there is no such file.
        """
        full = self._full(path)
        content: bytes = self._ask(lambda: self._fs.cat_file(full), path)
        return content

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write ``path`` whole."""
        full = self._full(path)
        self._ask(lambda: self._appear(full, lambda target: self._fs.pipe_file(target, content)), path)

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` is there."""
        full = self._full(path)
        return self._ask(lambda: self._there(full), path)

    def files(self, path: str = "") -> list[str]:
        """Return every file below ``path``, relative to the root, sorted."""
        full = self._full(path)
        found: list[str] = self._ask(lambda: self._fs.find(full) if self._there(full) else [], path)
        names = (str(PurePosixPath(name).relative_to(self._root)) for name in found)
        return sorted(name for name in names if not name.startswith(f"{_STAGING}/"))

    def folders(self, path: str = "") -> list[str]:
        """Return the names of the folders right below ``path``, sorted."""
        full = self._full(path)
        entries: list[dict[str, Any]] = self._ask(
            lambda: self._fs.ls(full, detail=True) if self._there(full) else [], path
        )
        names = (PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "directory")
        return sorted(name for name in names if name != _STAGING)

    def upload(self, source: Path, path: str) -> None:
        """Copy the file or folder ``source`` to ``path``, replacing what is there.

        A folder of an object store is never missing while it is replaced, but a reader may see files of both; in other
        stores it is there whole or, for the moment of a rename, not at all.
        """
        full = self._full(path)
        if self._renames:
            self._ask(lambda: self._appear(full, lambda target: self._put(source, target)), path)
        else:
            self._ask(lambda: self._replace(source, full), path)

    def delete(self, path: str) -> None:
        """Remove the file or folder ``path`` if it is there."""
        full = self._full(path)
        self._ask(lambda: self._remove(full), path)

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """Give the file or folder ``path`` as a local, read-only path for the length of the ``with`` block.

        Raises:
            MissingArtifactError: there is no such artifact.
        """
        full = self._full(path)
        if "file" in self._protocols:
            if not self._there(full):
                raise self._missing(path)
            yield Path(full)
            return
        folder = Path(tempfile.mkdtemp(prefix="factory-"))
        try:
            target = folder / PurePosixPath(path).name
            self._ask(lambda: self._get(full, target), path)
            yield target
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _appear(self, full: str, write: Callable[[str], Any]) -> None:
        """Let ``write`` make ``full``: in a store that renames under another name first."""
        if not self._renames:
            write(full)  # an object store shows an object only when it is complete
            return
        staged = str(PurePosixPath(self._root, _STAGING, uuid.uuid4().hex))
        self._fs.makedirs(str(PurePosixPath(staged).parent), exist_ok=True)
        self._fs.makedirs(str(PurePosixPath(full).parent), exist_ok=True)
        try:
            write(staged)
            if "file" in self._protocols:
                _swap(Path(staged), Path(full))
            else:
                self._remove(full)
                self._fs.mv(staged, full, recursive=self._fs.isdir(staged))
        except BaseException:
            self._remove(staged)
            raise

    def _put(self, source: Path, full: str) -> set[str]:
        """Copy the file or the folder and return the full paths of the files."""
        if not source.is_dir():
            self._fs.put_file(str(source), full)
            return {full}
        files = {
            file: str(PurePosixPath(full, file.relative_to(source))) for file in source.rglob("*") if file.is_file()
        }
        self._fs.makedirs(full, exist_ok=True)
        if self._renames:
            for folder in {str(PurePosixPath(target).parent) for target in files.values()}:
                self._fs.makedirs(folder, exist_ok=True)
        self._each(lambda pair: self._fs.put_file(str(pair[0]), pair[1]), sorted(files.items()))
        return set(files.values())

    def _replace(self, source: Path, full: str) -> None:
        """Copy first, then remove what was there and is not any more."""
        written = self._put(source, full)
        if gone := sorted(set(self._fs.find(full)) - written):
            self._fs.rm(gone)

    def _remove(self, full: str) -> None:
        if self._there(full):
            self._fs.rm(full, recursive=True)

    def _get(self, full: str, target: Path) -> None:
        if not self._fs.isdir(full):
            self._fs.get_file(full, str(target))
            return
        shutil.rmtree(target, ignore_errors=True)
        pairs = [(name, target.joinpath(*PurePosixPath(name).relative_to(full).parts)) for name in self._fs.find(full)]
        for name, file in pairs:
            if not file.resolve().is_relative_to(target.resolve()):
                raise ArtifactError(f"'{name}' leaves its folder; remove it from {self.uri}")
            file.parent.mkdir(parents=True, exist_ok=True)
        self._each(lambda pair: self._fs.get_file(pair[0], str(pair[1])), pairs)

    def _each(self, call: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Call for every item; side by side where the way to the store is long."""
        if self._renames:
            for item in items:
                call(item)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(call, items):
                pass

    def _there(self, full: str) -> bool:
        """Tell whether the path is there; unlike fsspec's own question, an error is not taken for a no."""
        try:
            self._fs.info(full)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _ask(self, call: Callable[[], T], path: str) -> T:
        """Return ``call()``; what a file system raises becomes an error of the house."""
        try:
            return keep_trying(
                call,
                f"the artifact store {self.uri}",
                self._patience,
                (AwayError, ConnectionError, TimeoutError),
                "start it, or correct FACTORY_ARTIFACTS_URI and AWS_ENDPOINT_URL",
            )
        except FileNotFoundError as error:
            raise self._missing(path) from error
        except RefusedError as error:
            raise ArtifactError(f"{self.uri}/{path}: {error}") from error
        except OSError as error:
            raise ArtifactError(f"{self.uri}/{path}: {_line(error)}; look to the store's rights and space") from error

    def _missing(self, path: str) -> MissingArtifactError:
        return MissingArtifactError(f"{self.uri}/{path}: no such artifact; run the step that writes it")

    @property
    def _renames(self) -> bool:
        return bool({"file", "memory"} & self._protocols)

    @property
    def _protocols(self) -> set[str]:
        protocol = self._fs.protocol
        return {protocol} if isinstance(protocol, str) else set(protocol)

    def _full(self, path: str) -> str:
        parts = PurePosixPath(path).parts
        if ".." in parts or path.startswith("/"):
            raise ArtifactError(f"'{path}' leaves the artifact store; give a path relative to {self.uri}")
        return str(PurePosixPath(self._root, *parts))


def _swap(staged: Path, full: Path) -> None:
    """Put ``staged`` in the place of ``full``, in one step where the system can; others may be doing the same."""
    while True:
        try:
            staged.replace(full)
        except (IsADirectoryError, NotADirectoryError):
            pass
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        aside = staged.with_name(uuid.uuid4().hex)
        with suppress(FileNotFoundError):
            full.rename(aside)
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)


def _line(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
