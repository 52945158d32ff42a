"""A feature service over a repository of its own passes the contract of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.data import feast_source
from include.data.sources import open_source
from include.specs import FactoryError, Platform, load_platform
from tests.unit.data.source_contract import START, SourceContract, frame, spec_of

DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.types import Bool, Float64, String
from feast.value_type import ValueType

key = Entity(name="key", join_keys=["key"], value_type=ValueType.STRING)
view = FeatureView(
    name="view",
    entities=[key],
    ttl=timedelta(days=365),
    source=FileSource(name="file", path="{folder}/features.parquet", timestamp_field="event_timestamp"),
    schema=[Field(name="Amount", dtype=Float64), Field(name="flag", dtype=Bool), Field(name="text", dtype=String)],
)
service = FeatureService(name="demo_v1", features=[view])
"""
CONFIG = """
project: demo
provider: local
registry: {folder}/registry.db
online_store: {{type: sqlite, path: {folder}/online.db}}
offline_store: {{type: {offline}}}
entity_key_serialization_version: 3
"""
FEATURES = ["Amount", "flag", "text"]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder of a repository that is applied only once, as its definitions stay the same, and its home."""
    folder = tmp_path_factory.mktemp("feature_repo")
    (folder / "feature_store.yaml").write_text(CONFIG.format(folder=folder, offline="duckdb"))
    (folder / "definitions.py").write_text(DEFINITIONS.format(folder=folder))
    return folder, tmp_path_factory.mktemp("home")


@pytest.fixture
def platform(applied: tuple[Path, Path], platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Return a platform whose home remembers what was applied."""
    monkeypatch.setenv("FACTORY_HOME", str(applied[1]))
    load_platform.cache_clear()
    return load_platform()


class TestFeast(SourceContract):
    @pytest.fixture(autouse=True)
    def _repository(self, applied: tuple[Path, Path], tmp_path: Path) -> None:
        self.folder, self.entities = applied[0], tmp_path / "entities.parquet"

    def store(self, rows: pd.DataFrame) -> dict[str, Any]:
        rows.drop(columns=FEATURES).to_parquet(self.entities)
        known = pd.Timestamp(START) - pd.Timedelta(days=1)
        features = frame()[["key", *FEATURES]].assign(event_timestamp=known)
        features.to_parquet(self.folder / "features.parquet", coerce_timestamps="us")
        return self.place("demo_v1")

    def place(self, service: str) -> dict[str, Any]:
        return {"type": "feast", "service": service, "entities": str(self.entities), "repo": str(self.folder)}

    def missing(self) -> tuple[dict[str, Any], str]:
        return self.place("demo_v"), "demo_v1"

    def test_a_missing_entity_file_is_named(self, platform: Platform) -> None:
        source = {**self.store(frame()), "entities": str(self.entities.with_name("entites.parquet"))}
        with pytest.raises(FactoryError, match=r"data\.source\.entities: .*did you mean 'entities\.parquet'"):
            open_source(spec_of(source), platform).read()

    def test_a_missing_repository_is_named(self, platform: Platform) -> None:
        source = {**self.store(frame()), "repo": str(self.folder / "nowhere")}
        with pytest.raises(FactoryError, match=r"nowhere"):
            open_source(spec_of(source), platform).read()

    def test_rows_that_the_store_drops_are_an_error(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        """Feast's default file store leaves out entities whose features come later; nobody would notice."""
        early = frame(3).assign(happened=pd.Timestamp(START) - pd.Timedelta(days=9))
        source = self.store(pd.concat([frame(), early]))
        assert len(open_source(spec_of(source), platform).read()) == 63
        config = self.folder / "feature_store.yaml"
        kept = config.read_text()
        monkeypatch.setattr(feast_source, "apply_definitions", lambda *_: False)  # they are the same, and it takes long
        try:
            config.write_text(CONFIG.format(folder=self.folder, offline="dask"))
            with pytest.raises(FactoryError, match=r"returned 60 rows for 63 entity rows \(3 are missing\).*duckdb"):
                open_source(spec_of(source), platform).read()
        finally:
            config.write_text(kept)
