"""Libraries that only some models need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from include.specs.errors import FactoryError


def library(name: str, runtime: str, remedy: str) -> ModuleType:
    """Return the module ``name``, imported now.

    Raises:
        FactoryError: it is not installed; ``remedy`` says what to do then.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise FactoryError(
            f"the runtime '{runtime}' needs {name}, which cannot be imported ({error}); {remedy}"
        ) from error
