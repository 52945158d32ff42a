"""MLflow's client of its scoring server, and the calls that its documentation shows."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
import requests
from rows import CHURN, HOUSE

if TYPE_CHECKING:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

URL = os.environ["CONFORMANCE_URL"]
NAMES = ["rooms", "area", "year"]


@pytest.fixture(scope="module")
def client() -> ScoringServerClient:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    parts = urlsplit(URL)
    return ScoringServerClient(parts.hostname, parts.port)


def values(response) -> list[float]:
    return response.get_predictions()["label"].tolist()


def test_ping_and_version(client: ScoringServerClient) -> None:
    client.ping()
    client.wait_server_ready(timeout=5)
    assert client.get_version()
    assert requests.get(f"{URL}/health", timeout=5).status_code == 200


def test_every_kind_of_data_gives_the_same_answers(client: ScoringServerClient) -> None:
    frame = pd.DataFrame(HOUSE, columns=NAMES)
    wanted = values(client.invoke(frame))
    assert len(wanted) == len(HOUSE)
    for data in (
        HOUSE,
        HOUSE.tolist(),
        {"dataframe_records": frame.to_dict(orient="records")},
        {"dataframe_split": frame.to_dict(orient="split")},
        {"instances": HOUSE.tolist()},
        {"instances": frame.to_dict(orient="records")},
        {"inputs": {name: frame[name].tolist() for name in NAMES}},
        {"inputs": {name: frame[[name]].to_numpy().tolist() for name in NAMES}},
    ):
        sent = json.dumps(data) if isinstance(data, dict) else data  # the client itself fails on dicts
        assert values(client.invoke(sent)) == wanted, data
    csv = requests.post(
        f"{URL}/invocations", data=frame.to_csv(index=False), headers={"Content-Type": "text/csv"}, timeout=5
    )
    assert [record["label"] for record in csv.json()["predictions"]] == wanted


def test_params(client: ScoringServerClient) -> None:
    frame = pd.DataFrame(HOUSE, columns=NAMES)
    assert values(client.invoke(frame, params={"event_time": "2026-03-01T12:00:00Z", "unknown": 1}))
    explained = client.invoke(frame, params={"explain": True}).to_json()
    assert "contributions" in explained


def test_missing_values_as_null(client: ScoringServerClient) -> None:
    frame = pd.DataFrame(HOUSE, columns=NAMES).astype(object)
    frame.iloc[0, 0] = None
    assert np.isfinite(values(client.invoke(frame))).all()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ('{"dataframe_split": {"columns": ["rooms", "area", "year"], "data": [[NaN, 1, 2]]}}', "application/json", 400),
        ('{"dataframe_split": {"columns": ["rooms"], "data": [[1]]}}', "application/json", 400),
        ('{"dataframe_split": {"columns": ["rooms"], "data": [[1, 2]]}}', "application/json", 400),
        ('{"inputs": [[1, 2]]}', "application/json", 400),
        ('{"inputs": [], "instances": []}', "application/json", 400),
        ("[]", "application/json", 400),
        ("{", "application/json", 400),
        ("rooms,area,year\n1,2,x\n", "text/csv", 400),
        ("rooms,area\n1,2,3\n", "text/csv", 400),
        ("", "text/csv", 400),
        ("x", "application/vnd.apache.parquet", 415),
    ],
)
def test_what_cannot_be_read(body: str, kind: str, status: int) -> None:
    response = requests.post(f"{URL}/invocations", data=body, headers={"Content-Type": kind}, timeout=5)
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error_code", "message"}


def test_the_same_by_name() -> None:
    assert len(CHURN) == len(
        requests.post(f"{URL}/v1/models/churn:predict", json={"instances": CHURN}, timeout=5).json()["predictions"]
    )
