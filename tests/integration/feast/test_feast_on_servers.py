"""Registry, offline and online store of Feast in a real PostgreSQL, and online in a real Redis."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from include.data.churn import SEED, week_start
from include.data.sources import open_source
from include.features.feast_files import feature_tables
from include.features.feast_tables import offline_database, write_tables
from include.specs import FactoryError, Platform, load_platform
from include.steps.materialize import run
from include.store.feature_store import FeatureStoreError, apply_definitions, environment, redacted
from include.store.online import OnlineFeatures
from tests.integration.feast.feast_shop import END, FIRST_WEEK, PER_WEEK, WEEKS, Shop
from tests.integration.postgres import PASSWORD

START = week_start(FIRST_WEEK) - timedelta(days=21)


@pytest.fixture
def served(shop: Shop, postgres_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Platform]:
    """Return a platform all of whose feature store is in PostgreSQL; its data folder is empty."""
    url = sa.make_url(postgres_uri)
    place = {"host": url.host, "port": url.port, "database": "postgres", "user": url.username, "password": PASSWORD}
    path = postgres_uri.replace("postgresql:", "postgresql+psycopg:")
    settings = {
        "REGISTRY": {"registry_type": "sql", "path": path},
        "ONLINE_STORE": {"type": "postgres", "sslmode": "disable", **place},
        "OFFLINE_STORE": {"type": "postgres", "sslmode": "disable", **place},
        "DATA": str(tmp_path / "empty"),
    }
    monkeypatch.setenv("FACTORY_HOME", str(tmp_path / "elsewhere"))
    for name, value in settings.items():
        monkeypatch.setenv(f"FACTORY_FEAST__{name}", value if isinstance(value, str) else json.dumps(value))
    load_platform.cache_clear()
    yield load_platform()
    load_platform.cache_clear()


def test_training_materialisation_and_lookup_agree_with_the_files(
    served: Platform, shop: Shop, context: Callable[..., Any], caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    database = offline_database(served)
    assert database is not None
    write_tables(database, feature_tables(FIRST_WEEK, WEEKS, PER_WEEK, SEED))
    from_tables = open_source(shop.spec, served).read()
    from_files = open_source(shop.spec, shop.platform).read()
    assert list(from_tables["customer_id"]) == list(from_files["customer_id"])
    for name in ("tenure_months", "plan", "logins_30d", "minutes_per_login"):
        left, right = (
            frame[name].astype(object).where(frame[name].notna(), None) for frame in (from_tables, from_files)
        )
        assert left.tolist() == pytest.approx(right.tolist()) if name != "plan" else left.tolist() == right.tolist()

    made = context(shop.spec, "materialize", pipeline="feature_materialization", start=START, end=END)
    assert run(replace(made, platform=served)).values["views"] == ["subscription", "usage"]
    customers = shop.entities.query("observed_at < @END")["customer_id"].iloc[::17].tolist()
    found = OnlineFeatures(served).lookup("churn_v1", [{"customer_id": name} for name in customers])
    known = from_files.set_index("customer_id")
    assert [row["plan"] for row in found] == [known.loc[name, "plan"] for name in customers]
    said = caplog.text + "".join(capfd.readouterr())
    assert PASSWORD not in said


def test_a_wrong_password_is_told_and_not_shown(served: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = environment(served)["FACTORY_FEAST__REGISTRY"].replace(PASSWORD, "hunter2-wrong")
    monkeypatch.setenv("FACTORY_FEAST__REGISTRY", wrong)
    load_platform.cache_clear()
    with pytest.raises(FeatureStoreError) as told:
        apply_definitions(load_platform())
    assert "password authentication failed" in str(told.value) and "hunter2" not in str(told.value)
    offline = served.feast.model_copy(
        update={"offline_store": SecretStr(environment(served)["FACTORY_FEAST__OFFLINE_STORE"].replace(PASSWORD, "no"))}
    )
    database = offline_database(served.model_copy(update={"feast": offline}))
    assert database is not None
    with pytest.raises(FactoryError, match="correct FACTORY_FEAST__OFFLINE_STORE"):
        write_tables(database, {})


@pytest.mark.parametrize(
    "value",
    [
        "{type: redis, connection_string: 'redis:6379,password=swordfish'}",
        "{type: postgres, password: swordfish, host: db}",
        '{"path": "postgresql+psycopg://me:swordfish@db/feast"}',
    ],
)
def test_passwords_are_taken_out_of_what_feast_says(value: str) -> None:
    assert redacted("it said swordfish", {"X": value}) == "it said ***"
