"""Packages of registered versions on this machine: fetched once, held against their digest every time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from include.registry.lineage import files_digest
from include.specs.errors import FactoryError
from include.store.packages import MANIFEST


class DigestError(FactoryError):
    """The files of a version are not those that were registered."""


def package_digest(folder: Path) -> str:
    """Return the SHA-256 digest of a package: of the names and contents of all its files."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return files_digest(((folder / name, name) for name in names), length=64)


def cached_package(folder: Path, digest: str, download: Callable[[Path], Path], shown: str) -> Path:
    """Return ``folder`` with the package in it; download it when it is not there, or not what was registered.

    The folder appears whole or not at all, also when several processes fetch the same version at once.

    Args:
        folder: where the package is kept.
        digest: what `package_digest` must say.
        download: writes the package below the folder that it is given, and returns where.
        shown: the version's name, for messages.

    Raises:
        DigestError: the registry holds other files than were registered.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f"{folder.name}.lock"):
        if not _holds(folder, digest):
            _fetch(folder, digest, download, shown)
    return folder


def _fetch(folder: Path, digest: str, download: Callable[[Path], Path], shown: str) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        fetched = download(scratch / "download")
        if not _holds(fetched, digest):
            raise DigestError(
                f"{shown}: the files in the registry are not those that were registered (SHA-256 {digest[:12]}…); "
                "do not serve this version: train and register the model again"
            )
        new = scratch / "package"
        shutil.copytree(fetched, new)
        if folder.exists():
            folder.rename(scratch / "old")
        new.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _holds(folder: Path, digest: str) -> bool:
    return (folder / MANIFEST).is_file() and package_digest(folder) == digest
