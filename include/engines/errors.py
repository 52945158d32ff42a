"""What goes wrong with an engine, told so that a person can mend it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from include.specs import FactoryError

_LOCK = "requirements-engines.txt"


class EngineError(FactoryError):
    """An engine is not installed, cannot be reached, or is not one that this factory can work with."""


def needed(package: str, setting: str) -> Any:
    """Import an engine's package.

    Args:
        package: its name, such as ``ray``.
        setting: what asked for it, for the message.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise EngineError(
            f"{setting} asks for {package}, which is not installed here: install {_LOCK} beside requirements.txt "
            f"(uv pip install --require-hashes -r {_LOCK}), or choose the engine 'local'"
        ) from error
