"""Algorithm families: one file each, behind one base class. A family is imported only when it is used."""

from __future__ import annotations

from importlib import import_module

from include.automl.families.base import Conditions, Family, Params, Rows, Space
from include.specs import FactoryError, did_you_mean
from include.specs.training import FAMILIES

__all__ = ["Conditions", "Family", "Params", "Rows", "Space", "find_family"]


def find_family(name: str) -> Family:
    """Return the family called ``name``: the `Family` that ``include/automl/families/<name>.py`` defines.

    Raises:
        FactoryError: there is none.
    """
    where = f"{__name__}.{name}"
    try:
        module = import_module(where)
    except ModuleNotFoundError as error:
        if error.name != where:
            raise
        raise FactoryError(f"there is no algorithm family '{name}'; {did_you_mean(name, FAMILIES)}") from error
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Family) and found.__module__ == where:
            return found()
    raise FactoryError(f"{module.__file__} defines no Family; subclass it there, see docs/training.md")
