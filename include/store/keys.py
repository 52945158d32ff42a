"""The serving key: what the operate endpoints of the model server ask for."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from include.specs.errors import FactoryError
from include.specs.platform import Platform

KEY_FILE = "serving.key"


def serving_key(platform: Platform) -> str:
    """Return the serving key: the setting, or the content of ``<home>/serving.key``, which is made on first use.

    The file can be read by its owner alone. Processes that ask for it at the same time get the same key.

    Raises:
        FactoryError: the file is empty.
    """
    if setting := platform.serving_key.get_secret_value():
        return setting
    file = platform.home / KEY_FILE
    if not file.exists():
        _create(file)
    key = file.read_text(encoding="ascii").strip()
    if not key:
        raise FactoryError(f"{file}: holds no key; remove the file and start again, or set FACTORY_SERVING_KEY")
    return key


def _create(file: Path) -> None:
    """Write a new key under a temporary name and link it: whoever comes second finds the first one's key."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):
            file.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()
