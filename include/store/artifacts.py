"""The artifact store: files under one fsspec URI, written atomically where a reader could look."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from include.specs.errors import FactoryError
from include.specs.platform import Platform


class ArtifactError(FactoryError):
    """An artifact is missing, or its path leaves the store."""


class ArtifactStore:
    """Files below a root URI (``file:///…``, ``s3://bucket/prefix``, ``memory://…``), addressed by relative paths."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._fs: fsspec.AbstractFileSystem
        self._fs, self._root = url_to_fs(self.uri)

    @classmethod
    def of(cls, platform: Platform) -> ArtifactStore:
        """Return the platform's artifact store."""
        return cls(platform.artifacts_uri)

    def read_bytes(self, path: str) -> bytes:
        """Return the content of ``path``.

        Raises:
            ArtifactError: there is no such file.
        """
        try:
            content: bytes = self._fs.cat_file(self._full(path))
        except FileNotFoundError as error:
            raise ArtifactError(f"{self.uri}/{path}: no such artifact; run the step that writes it") from error
        return content

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write ``path`` whole: under a temporary name first, then renamed, so that no reader sees half of it."""
        full = self._full(path)
        self._fs.makedirs(str(PurePosixPath(full).parent), exist_ok=True)
        if not self._renames:
            self._fs.pipe_file(full, content)  # an object store shows an object only when it is complete
            return
        temporary = f"{full}.{uuid.uuid4().hex}.tmp"
        self._fs.pipe_file(temporary, content)
        self._fs.mv(temporary, full)

    def exists(self, path: str) -> bool:
        """Tell whether ``path`` is there."""
        return bool(self._fs.exists(self._full(path)))

    def files(self, path: str = "") -> list[str]:
        """Return every file below ``path``, relative to the root, sorted."""
        full = self._full(path)
        found: list[str] = self._fs.find(full) if self._fs.exists(full) else []
        return sorted(str(PurePosixPath(name).relative_to(self._root)) for name in found)

    def folders(self, path: str = "") -> list[str]:
        """Return the names of the folders right below ``path``, sorted."""
        full = self._full(path)
        if not self._fs.exists(full):
            return []
        entries: list[dict[str, Any]] = self._fs.ls(full, detail=True)
        return sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "directory")

    def upload(self, source: Path, path: str) -> None:
        """Copy the file or folder ``source`` to ``path``, replacing what is there."""
        full = self._full(path)
        self.delete(path)
        self._fs.makedirs(str(PurePosixPath(full).parent), exist_ok=True)
        if not source.is_dir():
            self._fs.put_file(str(source), full)
            return
        for file in sorted(source.rglob("*")):
            if file.is_file():
                target = str(PurePosixPath(full) / file.relative_to(source).as_posix())
                self._fs.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
                self._fs.put_file(str(file), target)

    def delete(self, path: str) -> None:
        """Remove the file or folder ``path`` if it is there."""
        full = self._full(path)
        if self._fs.exists(full):
            self._fs.rm(full, recursive=True)

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        """Give the file or folder ``path`` as a local, read-only path for the length of the ``with`` block.

        Raises:
            ArtifactError: there is no such artifact.
        """
        if not self.exists(path):
            raise ArtifactError(f"{self.uri}/{path}: no such artifact; run the step that writes it")
        if self._is_local:
            yield Path(self._full(path))
            return
        folder = Path(tempfile.mkdtemp(prefix="factory-"))
        try:
            target = folder / PurePosixPath(path).name
            self._fs.get(self._full(path), str(target), recursive=bool(self._fs.isdir(self._full(path))))
            yield target
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _is_local(self) -> bool:
        return "file" in self._protocols

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
