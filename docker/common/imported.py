"""What the code in a folder imports, and proof that an image has it.

``imported.py list FOLDER…`` prints every library that the code names, lazily or not, one a line; ``imported.py load
FILE`` imports each. That fails the build where a library is missing, and leaves in the image the bytecode of what is
imported: half of the libraries never is. The two are apart so that a change of code that imports nothing new does not
touch the libraries' layer.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

OPTIONAL = {"airflow", "ray", "pyspark", "tensorflow", "torch", "tritonclient"}
"""Libraries of other images and environments; the code says what to install where one of them is missing."""


def names(tree: ast.AST) -> Iterator[str]:
    """Yield the absolute names that a module imports at run time: modules, and what is taken from them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from names(node)


def listed(folders: list[str]) -> list[str]:
    """Return the libraries that the code below ``folders`` imports, without Python's own and the house's."""
    known = set(sys.stdlib_module_names) | {"include"} | OPTIONAL
    files = (file for folder in folders for file in Path(folder).rglob("*.py"))
    found = {name for file in files for name in names(ast.parse(file.read_bytes()))}
    return sorted(name for name in found if name.split(".")[0] not in known)


def load(name: str) -> None:
    """Import a module, or the module that has an attribute of that name.

    Raises:
        ImportError: there is neither.
    """
    parent, _, attribute = name.rpartition(".")
    if not parent or not hasattr(import_module(parent), attribute):
        import_module(name)


if __name__ == "__main__":
    if sys.argv[1] == "list":
        print("\n".join(listed(sys.argv[2:])))
    else:
        for line in Path(sys.argv[2]).read_text(encoding="utf-8").split():
            load(line)
