"""Predictions by entity: the server looks the features up where training joined them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from include.data.churn import week_start
from include.features.plan import FeaturePlan
from include.store.feature_store import open_feature_store
from include.store.online import OnlineFeatures
from include.store.packages import Field, Manifest, ModelPackage, typed
from tests.integration.feast.feast_shop import END, FIRST_WEEK, Shop
from tests.integration.serving.server import Server
from tests.model_packages import put

FIELDS = (Field(name="monthly_fee", type="number"), Field(name="plan", type="string"))


def trained_on(service: str) -> ModelPackage:
    """Return a model that uses two of the service's features."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"monthly_fee": rng.normal(30, 10, 100), "plan": rng.choice(["basic", "premium"], 100)})
    plan = FeaturePlan(numeric=("monthly_fee",), categorical=("plan",), scale=True)
    estimator = make_pipeline(plan, LogisticRegression()).fit(typed(frame, FIELDS), frame["monthly_fee"] > 30)
    manifest = Manifest(
        model="m", task="binary", target="churned", features=FIELDS, classes=(0, 1), algorithm="linear",
        run="automl_pipeline.test", trained_at=datetime.now(UTC), feature_service=service,
    )  # fmt: skip
    return ModelPackage(manifest, estimator)


def test_an_entity_gets_the_answer_of_its_features(
    serve: Callable[..., Server],
    shop: Shop,
) -> None:
    start = week_start(FIRST_WEEK) - timedelta(days=21)
    open_feature_store(shop.platform).materialize(
        start_date=start, end_date=END, feature_views=["subscription", "usage"]
    )
    put(shop.platform.home, "by_entity", 1, trained_on("churn_v1"))
    server = serve(shop.platform).start()
    server.route("by_entity", ("champion", 1, 100)).raise_for_status()
    customers = shop.entities["customer_id"].iloc[:3].tolist()
    looked_up = OnlineFeatures(shop.platform).lookup("churn_v1", [{"customer_id": name} for name in customers])
    for customer, features in zip(customers, looked_up, strict=True):
        by_features = server.predict("by_entity", {name: features[name] for name in ("monthly_fee", "plan")}).json()
        body = {"entity": {"customer_id": customer}}
        by_entity = server.http.post("/v1/models/by_entity/predict", json=body)
        assert by_entity.status_code == 200, by_entity.text
        assert by_entity.json()["probabilities"] == by_features["probabilities"]
    batch = {"instances": [{"entity": {"customer_id": name}} for name in customers] + [{"features": {
        "monthly_fee": 1, "plan": None}}]}  # fmt: skip
    answers = server.http.post("/v1/models/by_entity/predict/batch", json=batch).json()["predictions"]
    assert answers[2]["probabilities"] == by_features["probabilities"]
    assert len(answers) == 4
    for entity, status, code in (
        ({"customer_id": "nobody"}, 404, "unknown_entity"),
        ({"customer": "c"}, 422, "invalid_entity"),
        ({}, 422, "invalid_request"),
    ):
        response = server.http.post("/v1/models/by_entity/predict", json={"entity": entity})
        assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
