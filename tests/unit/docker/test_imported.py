"""What the image build learns from the code: every library that it imports, and a failure where one is missing."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from include.specs import ROOT

made = runpy.run_path(str(ROOT / "docker" / "common" / "imported.py"))
listed, load = made["listed"], made["load"]
CODE = """
from __future__ import annotations
import json, yaml
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import pandas
from . import sibling
from include.specs import ROOT

def late():
    try:
        from mlflow.entities import Run
    except ImportError:
        import optuna.storages as storages
    import torch
"""


def test_it_finds_lazy_imports_and_leaves_out_python_the_house_and_types(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE)
    assert listed([str(tmp_path)]) == ["mlflow.entities.Run", "optuna.storages", "yaml"]


def test_it_loads_modules_and_what_is_in_them_and_refuses_what_is_missing() -> None:
    load("xml.dom.minidom")
    load("pathlib.Path")
    with pytest.raises(ImportError):
        load("pathlib.Nowhere")
    with pytest.raises(ImportError):
        load("no_such_library.part")


@pytest.mark.parametrize("image", ["ml", "airflow", "mlflow", "serving"])
def test_an_images_lock_holds_the_versions_of_the_main_lock(image: str) -> None:
    def pinned(file: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,-]+\])?==(\S+)", file.read_text(), flags=re.MULTILINE))

    main, own = pinned(ROOT / "requirements.txt"), pinned(ROOT / "docker" / image / "requirements.txt")
    assert len(own) > 30
    differing = {name: version for name, version in own.items() if main.get(name) != version}
    assert set(differing) <= {"xgboost-cpu", "flask-wtf", "wtforms"}, "of which the main lock knows nothing"
    assert not set(differing) & set(main)
    assert differing.get("xgboost-cpu", main["xgboost"]) == main["xgboost"]
