"""Training rows from the feature store, held against pandas' merge_asof."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.data.churn import week_start
from include.data.sources import open_source
from include.features.feast_files import SUBSCRIPTION, USAGE
from include.specs import load_platform
from include.store.feature_store import data_folder
from tests.integration.feast.feast_shop import END, FIRST_WEEK, Shop, feast_spec

VIEWS = {"subscription": (SUBSCRIPTION, timedelta(days=90)), "usage": (USAGE, timedelta(days=14))}


def reference(entities: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Return the features known at each row's moment and no older than their view's time to live."""
    joined = entities.assign(order=range(len(entities))).sort_values("observed_at", kind="stable")
    for view, (columns, ttl) in VIEWS.items():
        records = pd.read_parquet(data / f"{view}.parquet").sort_values("event_timestamp", kind="stable")
        joined = pd.merge_asof(
            joined.astype({"observed_at": "datetime64[ns, UTC]"}),
            records[["customer_id", "event_timestamp", *columns]].astype({"event_timestamp": "datetime64[ns, UTC]"}),
            left_on="observed_at",
            right_on="event_timestamp",
            by="customer_id",
            tolerance=ttl,
        ).drop(columns="event_timestamp")
    logins = joined["logins_30d"].where(joined["logins_30d"] > 0)
    joined = joined.assign(
        minutes_per_login=joined["minutes_30d"] / logins, fee_per_login=joined["monthly_fee"] / logins
    )
    return joined.sort_values("order").drop(columns="order").reset_index(drop=True)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert set(found.columns) == set(expected.columns)
    for name in expected.columns.difference(["customer_id", "observed_at"]):
        left, right = found[name], expected[name]
        assert left.isna().tolist() == right.isna().tolist(), name
        known = right.notna()
        if pd.api.types.is_numeric_dtype(right):
            np.testing.assert_allclose(left[known].astype(float), right[known].astype(float), err_msg=name)
        else:
            assert left[known].astype(str).tolist() == right[known].astype(str).tolist(), name


def test_features_are_those_that_were_known_at_the_time(shop: Shop, tmp_path: Path) -> None:
    """Entities with no features yet, expired ones, unknown ones, and repeated customers are all there, none dropped."""
    known = shop.entities
    rng = np.random.default_rng(3)
    offsets = pd.to_timedelta(rng.integers(-30 * 24, 150 * 24, len(known)), unit="h")
    moved = known.assign(observed_at=known["observed_at"] + offsets)
    stranger = known.head(2).assign(customer_id=["nobody", "else"])
    entities = pd.concat([known, moved, stranger], ignore_index=True).sample(frac=1, random_state=4, ignore_index=True)
    path = tmp_path / "entities.parquet"
    entities.to_parquet(path, index=False)
    found = open_source(feast_spec(path), shop.platform).read()
    expected = reference(entities, shop.data)
    assert len(found) == len(entities)
    assert found["customer_id"].tolist() == entities["customer_id"].tolist()
    gaps = expected[["plan", "logins_30d"]].isna()
    assert gaps["plan"].any()  # not yet known
    assert (gaps["logins_30d"] & ~gaps["plan"]).any()  # usage expired, subscription not
    assert_same(found, expected)


def test_what_happened_later_does_not_leak(shop: Shop) -> None:
    """After four weeks those who left have no logins: joined without regard to time, logins would give them away."""
    found = open_source(shop.spec, shop.platform).read()
    usage = pd.read_parquet(shop.data / "usage.parquet").sort_values("event_timestamp")
    latest = found[["customer_id", "churned"]].merge(usage.groupby("customer_id")["logins_30d"].last().reset_index())
    leak = (latest["logins_30d"] == 0) == (latest["churned"] == 1)
    honest = (found["logins_30d"] == 0) == (found["churned"] == 1)
    assert leak.mean() > 0.95
    assert honest.mean() < 0.9


def test_a_window_of_event_time_is_cut_before_the_join(shop: Shop) -> None:
    start = week_start(FIRST_WEEK + 1)
    found = open_source(shop.spec, shop.platform).read(start, END)
    entities = shop.entities
    wanted = entities[entities["observed_at"] >= start]
    assert sorted(found["customer_id"]) == sorted(wanted["customer_id"])
    assert found["plan"].notna().all()


def test_the_files_follow_the_setting(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder(shop.platform) == str(shop.data)
    monkeypatch.setenv("FACTORY_FEAST__DATA", "s3://bucket/features")
    load_platform.cache_clear()
    assert data_folder(load_platform()) == "s3://bucket/features"
