"""Dates written as the training data wrote them, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.store.packages import ModelPackage
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, put


@pytest.mark.parametrize("runtime", ["sklearn", "onnx"])
def test_a_date_is_read_as_training_read_it(serve: Callable[..., Server], runtime: str) -> None:
    package, server = churn(), serve()
    fields = tuple(
        field.model_copy(update={"writing": "day first"}) if field.name == "seen" else field
        for field in package.manifest.features
    )
    written = ModelPackage(package.manifest.model_copy(update={"features": fields}), package.estimator)
    put(server.platform.home, "churn", 1, written, runtime)
    server.start()
    server.route("churn", ("champion", 1, 100)).raise_for_status()

    def answer(seen: str | None) -> dict[str, float]:
        response = server.predict("churn", {**ROW, "seen": seen})
        assert response.status_code == 200, response.text
        return response.json()["probabilities"]

    assert answer("01/02/2026 08:00") == answer("2026-02-01T08:00:00Z") != answer("2026-01-02T08:00:00Z")
    assert answer("soon") == answer("31/02/2026") == answer(None)
    assert server.predict("churn", {**ROW, "seen": 5}).status_code == 422
    shown = server.http.get("/models").json()["models"][0]["versions"][0]["features"]
    assert [field["writing"] for field in shown] == [None, None, None, "day first"]
    table = "age,vip,plan,seen\n33,true,pro,01/02/2026 08:00\n"
    response = server.http.post("/invocations", content=table, headers={"Content-Type": "text/csv"})
    assert response.status_code == 200, response.text
