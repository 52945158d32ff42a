"""Materialisation and lookup, over SQLite and over a real Redis."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from include.data.churn import week_start
from include.features.feast_files import SUBSCRIPTION, USAGE
from include.specs import FactoryError, ModelSpec, Platform, load_spec
from include.steps.context import StepContext
from include.steps.materialize import run
from include.store.feature_store import FeatureStoreError, apply_definitions, environment, open_feature_store
from include.store.online import OnlineFeatures, OnlineFeaturesError, UnknownEntityError
from tests.integration.feast.feast_shop import END, FIRST_WEEK, Shop

START = week_start(FIRST_WEEK) - timedelta(days=21)
Maker = Callable[..., StepContext]


@pytest.fixture
def step(context: Maker, shop: Shop) -> Callable[..., Any]:
    """Return a function that runs the step in the shop's platform with the given parameters."""

    def materialise(spec: ModelSpec | None = None, platform: Platform | None = None, **params: Any) -> Any:
        made = context(spec or shop.spec, "materialize", pipeline="feature_materialization", **params)
        return run(replace(made, platform=platform or shop.platform))

    return materialise


def expected(data: Path, customers: list[str], end: pd.Timestamp) -> list[dict[str, Any]]:
    """Return the latest record of each customer that was known by ``end``, from the files."""
    rows: list[dict[str, Any]] = [{} for _ in customers]
    for view, columns in (("subscription", SUBSCRIPTION), ("usage", USAGE)):
        records = pd.read_parquet(data / f"{view}.parquet")
        latest = (
            records[records["event_timestamp"] <= end].sort_values("event_timestamp").groupby("customer_id").tail(1)
        )
        latest = latest.set_index("customer_id")
        for row, customer in zip(rows, customers, strict=True):
            found = latest.loc[customer, list(columns)].to_dict()
            row.update({name: None if pd.isna(value) else value for name, value in found.items()})
    return rows


def assert_served(platform: Platform, shop: Shop) -> None:
    customers = shop.entities.query("observed_at < @END")["customer_id"].iloc[::7].tolist()
    found = OnlineFeatures(platform).lookup("churn_v1", [{"customer_id": name} for name in customers])
    for row, wanted in zip(found, expected(shop.data, customers, pd.Timestamp(END)), strict=True):
        ratio = wanted["fee_per_login"] = wanted["monthly_fee"] / wanted["logins_30d"] if wanted["logins_30d"] else None
        assert row.pop("fee_per_login") == (pytest.approx(ratio) if ratio is not None else None)
        assert ("minutes_per_login" in row) and "customer_id" not in row
        row.pop("minutes_per_login")
        wanted.pop("fee_per_login")
        assert row == wanted


def test_what_was_materialised_is_what_is_served(shop: Shop, step: Callable[..., Any]) -> None:
    outcome = step(start=START, end=END)
    assert outcome.values["views"] == ["subscription", "usage"]
    assert outcome.values["applied"] is False
    assert outcome.values["end"] == END.isoformat()
    assert_served(shop.platform, shop)
    step(start=START, end=END)  # again: nothing changes
    assert_served(shop.platform, shop)


def test_an_older_interval_does_not_set_features_back(shop: Shop, step: Callable[..., Any]) -> None:
    """SQLite keeps whatever was written last."""
    step(start=START, end=END)
    with pytest.raises(FactoryError, match=r"'subscription' was materialised up to 2025-08-25.*choose an end"):
        step(start=START, end=START + timedelta(days=14))
    assert_served(shop.platform, shop)


def test_the_serving_row_is_the_training_row(shop: Shop, step: Callable[..., Any]) -> None:
    """The same moment gives the same features by join and by lookup: no skew between training and serving."""
    step(start=START, end=END)
    store = open_feature_store(shop.platform)
    customers = shop.entities["customer_id"].iloc[-20:].tolist()
    moment = pd.DataFrame({"customer_id": customers, "event_timestamp": pd.Timestamp(END)})
    service = store.get_feature_service("churn_v1")
    joined = store.get_historical_features(entity_df=moment, features=service).to_df().set_index("customer_id")
    online = OnlineFeatures(shop.platform).lookup("churn_v1", [{"customer_id": name} for name in customers])
    for name, row in zip(customers, online, strict=True):
        for feature, value in row.items():
            trained = joined.loc[name, feature]
            assert (value is None and pd.isna(trained)) or value == pytest.approx(trained), (name, feature)


def test_a_lookup_says_what_is_wrong(shop: Shop, step: Callable[..., Any]) -> None:
    step(start=START, end=END)
    online = OnlineFeatures(shop.platform)
    known = {"customer_id": shop.entities["customer_id"].iloc[0]}
    assert online.lookup("churn_v1", []) == []
    with pytest.raises(OnlineFeaturesError, match="did you mean 'churn_v1'"):
        online.lookup("churn_v2", [known])
    with pytest.raises(OnlineFeaturesError, match="is looked up by customer_id"):
        online.lookup("churn_v1", [known, {"customer": "x"}])
    with pytest.raises(UnknownEntityError, match=r"no features of {'customer_id': 'nobody'}"):
        online.lookup("churn_v1", [known, {"customer_id": "nobody"}])
    assert len(online.lookup("churn_v1", [{**known, "another": 1}])) == 1


def test_the_step_says_what_is_wrong(shop: Shop, step: Callable[..., Any]) -> None:
    with pytest.raises(FactoryError, match="is not before end"):
        step(start=END, end=START)
    with pytest.raises(FactoryError, match="does not use Feast"):
        step(load_spec("churn"), start=START, end=END)
    wrong = shop.spec.model_dump()
    wrong["data"]["source"]["service"] = "churn_v"
    with pytest.raises(FactoryError, match="did you mean 'churn_v1'"):
        step(ModelSpec.model_validate(wrong), start=START, end=END)
    wrong["data"]["source"]["repo"] = "feast"
    with pytest.raises(FeatureStoreError, match=r"feature_store.yaml is missing"):
        step(ModelSpec.model_validate(wrong), start=START, end=END)


def test_missing_files_are_told(shop: Shop, step: Callable[..., Any]) -> None:
    usage = shop.data / "usage.parquet"
    away = usage.rename(usage.with_suffix(".away"))
    try:
        with pytest.raises(FactoryError, match=r"include\.features\.feast_files"):
            step(start=START, end=END)
    finally:
        away.rename(usage)


def test_an_apply_that_changes_nothing_is_left_out(shop: Shop) -> None:
    assert apply_definitions(shop.platform) is False


def test_broken_definitions_are_told(tmp_path: Path, shop: Shop) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    (folder / "feature_store.yaml").write_text((Path("feast/feature_repo") / "feature_store.yaml").read_text())
    (folder / "wrong.py").write_text("from feast import NoSuchThing\n")
    platform = shop.platform.model_copy(update={"home": tmp_path / "home"})
    with pytest.raises(FeatureStoreError, match="NoSuchThing"):
        apply_definitions(platform, str(folder))


@pytest.fixture
def redis(tmp_path: Path, free_port: int) -> Iterator[str]:
    """Run a Redis server; give its address."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    command = [program, "--port", str(free_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for_redis(free_port)
        yield f"127.0.0.1:{free_port}"
    finally:
        process.kill()
        process.wait()


def _wait_for_redis(port: int) -> None:
    from redis import Redis
    from redis.exceptions import ConnectionError as NotYet

    deadline = time.monotonic() + 20
    while True:
        try:
            Redis(port=port).ping()
        except NotYet:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_redis_serves_the_same(shop: Shop, redis: str, step: Callable[..., Any]) -> None:
    online = SecretStr(f"{{type: redis, connection_string: '{redis}'}}")
    feast = shop.platform.feast.model_copy(update={"online_store": online})
    platform = shop.platform.model_copy(update={"feast": feast})
    assert environment(platform)["FACTORY_FEAST__ONLINE_STORE"].startswith("{type: redis")
    step(platform=platform, start=START, end=END)
    assert_served(platform, shop)
    earlier = {"start": START, "end": START + timedelta(days=14)}
    step(platform=platform, **earlier)  # a backfill of older records
    assert_served(platform, shop)
