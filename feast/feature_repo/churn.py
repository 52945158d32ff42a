"""Features of the simulated subscription business; include/features/feast_files.py writes the files behind them."""

import os
from datetime import timedelta
from typing import Any

import yaml
from feast import Entity, FeatureService, FeatureView, Field, FileSource  # noqa: TID253 - Feast imports this file
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (  # noqa: TID253
    PostgreSQLSource,
)
from feast.on_demand_feature_view import on_demand_feature_view  # noqa: TID253
from feast.types import Bool, Float64, Int64, String  # noqa: TID253
from feast.value_type import ValueType  # noqa: TID253

FOLDER = os.environ["FACTORY_FEAST__DATA"]
IN_POSTGRES = yaml.safe_load(os.environ["FACTORY_FEAST__OFFLINE_STORE"]).get("type") == "postgres"


def records(name: str) -> FileSource | PostgreSQLSource:
    """Return the source of a view: rows are known from ``event_timestamp`` on, the latest ``created`` one wins.

    A table where the offline store is PostgreSQL, a Parquet file elsewhere.
    """
    times = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created"}
    if IN_POSTGRES:
        return PostgreSQLSource(name=f"{name}_table", table=name, **times)
    return FileSource(name=f"{name}_file", path=f"{FOLDER.rstrip('/')}/{name}.parquet", **times)


customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING, description="A subscriber.")

subscription = FeatureView(
    name="subscription",
    entities=[customer],
    ttl=timedelta(days=90),
    source=records("subscription"),
    schema=[
        Field(name="tenure_months", dtype=Int64),
        Field(name="plan", dtype=String),
        Field(name="monthly_fee", dtype=Float64),
        Field(name="discount", dtype=Int64),
        Field(name="auto_renew", dtype=Bool),
        Field(name="payment_method", dtype=String),
        Field(name="region", dtype=String),
        Field(name="referred", dtype=Bool),
    ],
    description="What the customer has bought; written when it changes.",
)

usage = FeatureView(
    name="usage",
    entities=[customer],
    ttl=timedelta(days=14),
    source=records("usage"),
    schema=[
        Field(name="logins_30d", dtype=Int64),
        Field(name="minutes_30d", dtype=Float64),
        Field(name="days_since_login", dtype=Int64),
        Field(name="support_tickets_30d", dtype=Int64),
        Field(name="devices", dtype=Int64),
        Field(name="satisfaction", dtype=Float64),
    ],
    description="What the customer does; aggregated over 30 days, written weekly.",
)


@on_demand_feature_view(
    sources=[subscription, usage],
    schema=[Field(name="minutes_per_login", dtype=Float64), Field(name="fee_per_login", dtype=Float64)],
    mode="python",
    description="Ratios across views, computed at lookup and in training by the same code.",
)
def intensity(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return minutes and fee per login; nothing where an input is unknown or nobody logged in."""

    def ratio(tops: list[Any], bottoms: list[Any]) -> list[float | None]:
        pairs = zip(tops, bottoms, strict=True)
        return [None if top is None or not bottom else float(top) / float(bottom) for top, bottom in pairs]

    logins = inputs["logins_30d"]
    return {
        "minutes_per_login": ratio(inputs["minutes_30d"], logins),
        "fee_per_login": ratio(inputs["monthly_fee"], logins),
    }


churn_v1 = FeatureService(
    name="churn_v1",
    features=[subscription, usage, intensity],
    description="Everything that a churn model is trained on and served with.",
)
