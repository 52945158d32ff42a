"""Lineage: what a version was made of. Same digests, same result to be expected."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from include.specs import ROOT, ModelSpec

LIBRARY = Path(__file__).resolve().parents[1]


def spec_digest(spec: ModelSpec) -> str:
    """Return the digest of everything in the spec that shapes training.

    Description, owner, tags, schedule, release, monitoring and pod resources may change without a new model.
    """
    document = spec.model_dump_json(include={"spec_version", "name", "data", "problem", "features", "search", "gates"})
    return hashlib.sha256(document.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return which code runs: ``FACTORY_CODE_VERSION``, the git commit that last changed the library, or its digest.

    An image sets the variable when it is built. A library with local changes gets ``-dirty.<its digest>``, so that two
    different states never share a name.
    """
    if given := os.environ.get("FACTORY_CODE_VERSION"):
        return given
    commit = _git("log", "-1", "--format=%h", "--abbrev=12", "--", str(LIBRARY))
    library = files_digest((file, str(file.relative_to(LIBRARY))) for file in sorted(LIBRARY.rglob("*.py")))
    if not commit:
        return f"sha256.{library}"
    dirty = _git("status", "--porcelain", "--", str(LIBRARY))
    return f"git.{commit}-dirty.{library}" if dirty else f"git.{commit}"


@lru_cache(maxsize=1)
def environment_digest() -> str:
    """Return the digest of the locked requirements that this environment was made from, or ``unlocked``."""
    lock = ROOT / "requirements.txt"
    return hashlib.sha256(lock.read_bytes()).hexdigest()[:16] if lock.is_file() else "unlocked"


def files_digest(files: Iterable[tuple[Path, str]], length: int = 16) -> str:
    """Return a digest of the names and contents of ``files``: pairs of a path and the name that counts."""
    digest = hashlib.sha256()
    for path, name in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()[:length]


def _git(*arguments: str) -> str | None:
    """Return git's answer about the project, or None when it is no checkout of its own, or there is no git."""
    if not (ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(ROOT), "--no-optional-locks", *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
