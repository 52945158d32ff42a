"""Digests of what a version is made of."""

from __future__ import annotations

import subprocess

import pytest

from include.registry import lineage
from include.specs import load_spec


@pytest.fixture(autouse=True)
def fresh_answers():
    lineage.code_version.cache_clear()
    yield
    lineage.code_version.cache_clear()


def changed(spec, **changes):
    return type(spec).model_validate(spec.model_dump(mode="json") | changes)


def test_a_spec_has_the_same_digest_when_read_again():
    spec = load_spec("churn")
    assert lineage.spec_digest(spec) == lineage.spec_digest(changed(spec))


@pytest.mark.parametrize(
    "change",
    [{"search": {"budget": "21s"}}, {"problem": {"type": "binary", "target": "plan"}}, {"gates": {"max_size_mb": 1}}],
)
def test_what_shapes_training_changes_the_digest(change):
    spec = load_spec("churn")
    assert lineage.spec_digest(spec) != lineage.spec_digest(changed(spec, **change))


@pytest.mark.parametrize(
    "change",
    [{"owner": "somebody@example.com"}, {"schedule": "@daily"}, {"release": {"bake": "9s"}}, {"monitoring": {}}],
)
def test_what_does_not_shape_training_leaves_it(change):
    spec = load_spec("churn")
    assert lineage.spec_digest(spec) == lineage.spec_digest(changed(spec, **change))


def test_an_image_says_which_code_it_holds(monkeypatch):
    monkeypatch.setenv("FACTORY_CODE_VERSION", "git.abc")
    assert lineage.code_version() == "git.abc"


def project(tmp_path, monkeypatch):
    library = tmp_path / "include"
    library.mkdir()
    (library / "a.py").write_text("A = 1\n")
    monkeypatch.delenv("FACTORY_CODE_VERSION", raising=False)
    monkeypatch.setattr(lineage, "ROOT", tmp_path)
    monkeypatch.setattr(lineage, "LIBRARY", library)
    return library


def answer():
    lineage.code_version.cache_clear()
    return lineage.code_version()


def test_without_git_the_content_counts(tmp_path, monkeypatch):
    library = project(tmp_path, monkeypatch)
    before = answer()
    assert before.startswith("sha256.")
    (library / "a.py").write_text("A = 2\n")
    assert answer() != before


def test_with_git_the_commit_that_changed_the_library_counts(tmp_path, monkeypatch):
    library = project(tmp_path, monkeypatch)

    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    committed = answer()
    assert committed.startswith("git.")
    assert "dirty" not in committed

    (tmp_path / "README.md").write_text("hello")
    git("add", ".")
    git("commit", "-m", "a note outside of the library")
    assert answer() == committed

    (library / "a.py").write_text("A = 2\n")
    first = answer()
    (library / "a.py").write_text("A = 3\n")
    assert first.startswith(f"{committed}-dirty.")
    assert answer() not in (first, committed)
