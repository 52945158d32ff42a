"""The shipped feature repository, applied once a session: Feast's command takes about ten seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.features.feast_files import write_feature_files
from include.specs import Platform, load_platform
from include.store.feature_store import apply_definitions, environment
from tests.integration.feast.feast_shop import FIRST_WEEK, PER_WEEK, WEEKS, Shop, feast_spec


@pytest.fixture(scope="session")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a shop whose files are written and whose definitions are applied."""
    home = tmp_path_factory.mktemp("shop")
    platform = Platform(home=home)
    data = home / "feature_data"
    write_feature_files(data, FIRST_WEEK, WEEKS, PER_WEEK)
    assert apply_definitions(platform)
    return Shop(platform, data, feast_spec(data / "churn_entities.parquet"))


@pytest.fixture
def shop(applied: Shop, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Return the shop; the settings of this process are its own."""
    monkeypatch.setenv("FACTORY_HOME", str(Path(applied.platform.home)))
    for name, value in environment(applied.platform).items():
        monkeypatch.setenv(name, value)
    load_platform.cache_clear()
    yield applied
    load_platform.cache_clear()
