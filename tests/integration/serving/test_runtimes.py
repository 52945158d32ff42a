"""The server answers by the runtime of a package as the estimator would, one row or many, for every kind of column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.store.packages import ModelPackage
from tests.integration.serving.server import Server
from tests.model_packages import ROW, boosted, churn, digits, house, put

HOUSE_ROW = {"rooms": 1.0, "area": -2, "year": 0.5}
MODELS: dict[str, tuple[Callable[[], ModelPackage], str, dict[str, Any]]] = {
    "churn_onnx": (churn, "onnx", ROW),
    "boosted_onnx": (boosted, "onnx", ROW),
    "boosted_native": (boosted, "xgboost", ROW),
    "house_onnx": (house, "onnx", HOUSE_ROW),
    "digits_onnx": (digits, "onnx", HOUSE_ROW),
}


@pytest.fixture(scope="module", params=MODELS)
def served(request: pytest.FixtureRequest, shared: Server) -> tuple[str, ModelPackage, dict[str, Any]]:
    """Return a model's name, its package, and a row; the server serves it by another runtime than scikit-learn."""
    make, runtime, row = MODELS[request.param]
    put(shared.platform.home, request.param, 1, make(), runtime)
    shared.route(request.param, ("champion", 1, 100)).raise_for_status()
    return request.param, make(), row


def rows_like(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows with gaps, unseen levels and extreme values."""
    number = next(iter(row))
    changes = [{number: None}, {number: -1e30}, {number: 3.4e38}, *({name: None} for name in row)]
    if "plan" in row:
        changes += [
            {"plan": "unseen"},
            {"plan": ""},
            {"seen": "1678-01-01T00:00:00Z"},
            {"seen": "2261-12-31T23:59:59Z"},
        ]
    return [row, *({**row, **change} for change in changes)]


def agrees(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    if "probabilities" in expected:
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
        assert answer["label"] == expected["label"]
    else:
        assert answer["label"] == pytest.approx(expected["label"], rel=1e-5)


def test_answers_are_the_estimators(shared: Server, served: tuple[str, ModelPackage, dict[str, Any]]) -> None:
    name, package, row = served
    rows = rows_like(row)
    expected = package.predict(package.frame(rows))
    singles = [shared.predict(name, one).raise_for_status().json() for one in rows]
    body = {"instances": [{"features": one} for one in rows]}
    batch = shared.http.post(f"/v1/models/{name}/predict/batch", json=body).raise_for_status().json()["predictions"]
    for single, other, wanted in zip(singles, batch, expected, strict=True):
        agrees(single, wanted)
        agrees(other, wanted)
