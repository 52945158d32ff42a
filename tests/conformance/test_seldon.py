"""Seldon Core's wrapper in front of the model server, asked by Seldon Core's own clients: REST and gRPC."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests
from google.protobuf.json_format import MessageToDict
from rows import CHURN, HOUSE
from seldon_core.seldon_client import SeldonClient

URL = os.environ["CONFORMANCE_URL"]
WRAPPER = Path(__file__).resolve().parents[2] / "docker" / "seldon"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def wrapper(**parameters: str) -> Iterator[tuple[int, int]]:
    """Run the wrapper as its image does; give its HTTP and gRPC ports."""
    http, grpc = free_port(), free_port()
    given = [{"name": name, "value": value, "type": "STRING"} for name, value in parameters.items()]
    command = [
        str(Path(sys.executable).parent / "seldon-core-microservice"), "ModelFactory", "--service-type", "MODEL",
        "--http-port", str(http), "--grpc-port", str(grpc), "--metrics-port", str(free_port()),
        "--parameters", json.dumps(given),
    ]  # fmt: skip
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=WRAPPER, start_new_session=True, **quiet)
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                if requests.get(f"http://127.0.0.1:{http}/health/status", timeout=2).status_code == 200:
                    break
            except requests.RequestException:
                pass
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.3)
        yield http, grpc
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@pytest.fixture(scope="module")
def churn() -> Iterator[tuple[int, int]]:
    with wrapper(url=URL, model="churn") as ports:
        yield ports


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[int, int]]:
    with wrapper(url=URL, model="house", version="1") as ports:
        yield ports


def answers(model: str, rows: list[dict]) -> list[dict]:
    body = {"instances": [{"features": row} for row in rows]}
    return requests.post(f"{URL}/v1/models/{model}/predict/batch", json=body, timeout=10).json()["predictions"]


def client(ports: tuple[int, int], transport: str) -> SeldonClient:
    return SeldonClient(microservice_endpoint=f"127.0.0.1:{ports[transport == 'grpc']}", transport=transport)


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_numbers_are_answered_as_the_server_answers(house, transport) -> None:
    found = client(house, transport).microservice(data=HOUSE, names=["rooms", "area", "year"], method="predict")
    assert found.success, found.msg
    rows = [dict(zip(["rooms", "area", "year"], row, strict=True)) for row in HOUSE.tolist()]
    wanted = [answer["label"] for answer in answers("house", rows)]
    np.testing.assert_allclose(MessageToDict(found.response)["data"]["tensor"]["values"], wanted)
    assert MessageToDict(found.response)["meta"]["tags"]["version"] == "1"


def test_rows_of_mixed_columns_are_answered_with_probabilities_and_class_names(churn) -> None:
    data = np.array([list(row.values()) for row in CHURN], dtype=object)
    found = client(churn, "rest").microservice(
        data=data, names=list(CHURN[0]), payload_type="ndarray", method="predict"
    )
    assert found.success, found.msg
    wanted = [list(answer["probabilities"].values()) for answer in answers("churn", CHURN)]
    np.testing.assert_allclose(MessageToDict(found.response)["data"]["ndarray"], wanted)
    assert MessageToDict(found.response)["data"]["names"] == ["stays", "leaves"]
    assert MessageToDict(found.response)["meta"]["tags"] == {"model": "churn", "version": "1", "variant": "champion"}


def test_json_is_passed_on(churn) -> None:
    body = {"jsonData": {"instances": CHURN}}
    found = requests.post(f"http://127.0.0.1:{churn[0]}/predict", json=body, timeout=10).json()
    wanted = [list(answer["probabilities"].values()) for answer in answers("churn", CHURN)]
    assert found["data"]["tensor"]["shape"] == [len(CHURN), 2]
    np.testing.assert_allclose(found["data"]["tensor"]["values"], np.ravel(wanted))


def test_metadata(house) -> None:
    found = requests.get(f"http://127.0.0.1:{house[0]}/metadata", timeout=10).json()
    assert (found["name"], found["versions"], found["platform"]) == ("house", ["1"], "model-factory")
    assert found["inputs"][0]["schema"]["names"] == ["rooms", "area", "year"]


def test_what_the_server_refuses_is_refused_with_its_words(house) -> None:
    body = {"data": {"names": ["rooms", "aera", "year"], "ndarray": [[1.0, 2.0, 3.0]]}}
    refused = requests.post(f"http://127.0.0.1:{house[0]}/predict", json=body, timeout=10)
    assert refused.status_code == 422
    assert "area" in refused.json()["status"]["info"]
    narrow = {"data": {"ndarray": [[1.0, 2.0]]}}
    assert requests.post(f"http://127.0.0.1:{house[0]}/predict", json=narrow, timeout=10).status_code == 400


def test_text_is_no_row(house) -> None:
    refused = requests.post(f"http://127.0.0.1:{house[0]}/predict", json={"strData": "x"}, timeout=10)
    assert (refused.status_code, "send rows" in refused.json()["status"]["info"]) == (400, True)
