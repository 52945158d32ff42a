"""A runtime whose library is not installed says what to do."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from include.inference.load import load_scorer
from include.inference.optional import library
from include.inference.tensors import whole_matrix
from include.specs import FactoryError
from tests.unit.inference.tables import NUMBERS, manifest


def test_a_library_that_is_not_there_is_named_with_the_remedy() -> None:
    assert library("json", "x", "") is __import__("json")
    with pytest.raises(FactoryError, match=r"the runtime .x. needs no_such_library.*; eat more fruit"):
        library("no_such_library", "x", "eat more fruit")


@pytest.mark.parametrize(("runtime", "name"), [("torchscript", "torch"), ("tensorflow", "tensorflow")])
def test_an_optional_runtime_says_what_to_install(tmp_path: Path, runtime: str, name: str) -> None:
    if find_spec(name) is not None:
        return  # `make test-formats`, where it is installed and loads models
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/code/__torch__.py", "def forward(self, x): return x")
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"")
    whole_matrix(NUMBERS).save(tmp_path)
    (tmp_path / "runtime.json").write_text(f'{{"runtime": "{runtime}"}}')
    with pytest.raises(FactoryError, match=rf"needs {name}, which cannot be imported.*; install "):
        load_scorer(tmp_path, manifest("binary", NUMBERS))
