"""Files, from one artifact store into another under the same names."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from include.migration.part import Count
from include.store.artifacts import ArtifactStore

_AT_ONCE = 8


class Files:
    """Every file of an artifact store.

    Args:
        title: what a person calls them.
        source: where they are.
        target: where they are to be.
        last: beginnings of names that are copied when all else is there: where such a file is, what it stands for is
            whole.
    """

    def __init__(self, title: str, source: ArtifactStore, target: ArtifactStore, last: str = "") -> None:
        self.title, self._source, self._target, self._last = title, source, target, last

    def prepare(self) -> None:
        """Do nothing: a bucket is made by who pays for it."""

    def foreign(self) -> str:
        """Return how many files the target holds; nothing when it is empty."""
        count = len(self._target.files())
        return f"{count} files at {self._target.uri}" if count else ""

    def copy(self) -> None:
        """Copy the files that are missing or are not the same; manifests, which say that a folder is whole, last."""
        there = set(self._target.files())
        names = [name for name in self._source.files() if name not in there or not self._same(name)]
        last = [name for name in names if self._last and name.endswith(self._last)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for group in (sorted(set(names) - set(last)), last):
                list(pool.map(self._copy, group))

    def compare(self) -> list[Count]:
        """Return one line for each folder at the top."""
        ours, theirs = self._source.files(), self._target.files()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            both = sorted(set(ours) & set(theirs))
            same = dict(zip(both, pool.map(self._same, both), strict=True))
        folders = sorted({_top(name) for name in (*ours, *theirs)})
        return [
            Count(
                folder,
                sum(_top(name) == folder for name in ours),
                sum(_top(name) == folder for name in theirs),
                all(same.get(name, False) for name in {*ours, *theirs} if _top(name) == folder),
            )
            for folder in folders
        ]

    def _copy(self, name: str) -> None:
        with self._source.local(name) as file:
            self._target.upload(file, name)

    def _same(self, name: str) -> bool:
        with self._source.local(name) as ours, self._target.local(name) as theirs:
            return ours.stat().st_size == theirs.stat().st_size and _digest(ours) == _digest(theirs)


def _top(name: str) -> str:
    return name.partition("/")[0]


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
