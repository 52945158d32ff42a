"""Rules of the house that no linter holds."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from include.specs import ROOT


def test_no_two_files_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("include")
    edges = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(edges).prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("folder", ["feast", "kubernetes", "docker", "monitoring"])
def test_folders_named_like_libraries_are_no_packages(folder: str) -> None:
    assert not list((ROOT / folder).glob("__init__.py"))


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name)
def test_every_link_between_documents_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_locks_hold_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert len(re.findall(r"^\S+==", text, re.M)) <= text.count("--hash=sha256:")
