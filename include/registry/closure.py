"""Which files of the house a fitted model needs: the modules of its types, and what those import."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from include.registry.lineage import LIBRARY
from include.store.parser import PARSER

HOUSE = LIBRARY.name


def needed_files(modules: Iterable[str]) -> list[Path]:
    """Return the files of the house that importing ``modules`` may read, imports inside of functions too, sorted.

    Args:
        modules: dotted names; those outside of the house are left out.
    """
    waiting, found = list(modules), set()
    while waiting:
        file = _file(waiting.pop())
        if file is None or file in found:
            continue
        found.add(file)
        with PARSER:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        waiting += _imported(tree)
        waiting += [_name(parent) for parent in file.parents if parent.is_relative_to(LIBRARY)]
    return sorted(found)


def _file(module: str) -> Path | None:
    """Return the file of a module of the house; None for another's, and for a name that is not a module."""
    if module.split(".")[0] != HOUSE:
        return None
    path = LIBRARY.joinpath(*module.split(".")[1:])
    candidates = [path / "__init__.py", path.with_suffix(".py")]
    return next((file for file in candidates if file.is_file()), None)


def _name(folder: Path) -> str:
    return ".".join([HOUSE, *folder.relative_to(LIBRARY).parts])


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
