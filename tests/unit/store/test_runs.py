"""Run folders: a result is the last thing written, and the only thing that is believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.specs import FactoryError
from include.store.artifacts import ArtifactStore
from include.store.links import artifact_url
from include.store.runs import MissingResultError, Result, RunFolder, run_name, runs

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(ArtifactStore((tmp_path / "store").as_uri()), "churn", "automl_pipeline.one")


def result(**changes: object) -> Result:
    values = {"model": "churn", "pipeline": "automl_pipeline", "run": "automl_pipeline.one", "step": "gate"}
    return Result(**values, **{"status": "done", "started": NOW, "ended": NOW, "values": {"a": [1, None]}} | changes)


def test_a_result_comes_back(folder: RunFolder, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "plots").mkdir(parents=True)
    (work / "plots" / "a.png").write_bytes(b"png")
    folder.finish(result(), work)
    assert folder.result("gate") == result()
    assert folder.store.read_bytes(folder.path("gate", "plots/a.png")) == b"png"
    assert runs(folder.store, "churn") == ["automl_pipeline.one"]
    folder.start("gate")
    assert folder.find("gate") is None
    assert folder.store.files(folder.path("gate")) == []


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"status": "done"}', b"\xff"])
def test_a_damaged_result_is_none(folder: RunFolder, content: bytes) -> None:
    folder.store.write_bytes(folder.path("gate", "result.json"), content)
    assert folder.find("gate") is None
    with pytest.raises(MissingResultError, match=r"'gate' of run 'automl_pipeline\.one' left no valid result"):
        folder.result("gate")


@pytest.mark.parametrize("run", ["../x", "a/b", "", ".hidden", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, run: str) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    with pytest.raises(FactoryError, match="cannot name a run folder"):
        RunFolder(store, "churn", run)


def test_run_names_are_safe_and_differ_by_pipeline() -> None:
    name = run_name("automl_pipeline", "manual__2026-03-01T00:00:00+00:00_x/y")
    assert name == "automl_pipeline.manual__2026-03-01T00-00-00-00-00_x-y"
    assert name != run_name("model_training", "manual__2026-03-01T00:00:00+00:00_x/y")


def test_links_quote_every_part(platform) -> None:
    url = artifact_url(platform, "churn", "automl.1", "report", "a folder/evi#dently.html")
    assert url == "http://127.0.0.1:8080/factory/artifacts/churn/automl.1/report/a%20folder/evi%23dently.html"
