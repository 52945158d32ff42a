"""Columns that a model does not read: a caller may leave them out, send them, or send anything for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from include.registry.flavour import PACKAGE_PATH, save_mlflow_model
from include.store.packages import save_package
from tests.integration.serving.server import Server
from tests.model_packages import put, thrifty

NEEDED = {"age": 33.0, "vip": True}


@pytest.mark.parametrize("runtime", ["sklearn", "onnx"])
def test_a_request_needs_only_what_the_model_reads(serve: Callable[..., Server], runtime: str) -> None:
    server = serve()
    put(server.platform.home, "thrifty", 1, thrifty(), runtime)
    server.start()
    server.route("thrifty", ("champion", 1, 100)).raise_for_status()
    plain = server.predict("thrifty", NEEDED)
    assert plain.status_code == 200, plain.text
    answers = [
        server.predict("thrifty", NEEDED | more).json()["probabilities"]
        for more in ({"plan": "pro"}, {"plan": 7, "seen": "soon"}, {"seen": None, "customer_id": "c"})
    ]
    assert answers == [plain.json()["probabilities"]] * 3
    refused = server.predict("thrifty", {"vip": True, "plan": "pro"})
    assert refused.status_code == 422
    assert [one["where"] for one in refused.json()["error"]["details"]] == ["features.age"]
    explained = server.predict("thrifty", NEEDED, explain=True).json()["explanation"]["contributions"]
    assert explained["plan"] == explained["seen"] == 0
    inputs = server.http.get("/v2/models/thrifty").json()["inputs"]
    assert [one["name"] for one in inputs] == ["age", "vip"]
    tensors = [
        {"name": "age", "shape": [1], "datatype": "FP64", "data": [33.0]},
        {"name": "vip", "shape": [1], "datatype": "BOOL", "data": [True]},
    ]
    assert server.http.post("/v2/models/thrifty/infer", json={"inputs": tensors}).status_code == 200
    table = {"dataframe_records": [NEEDED]}
    assert server.http.post("/invocations", json=table).status_code == 200


def test_mlflow_asks_only_for_what_the_model_reads(tmp_path: Path) -> None:
    import mlflow.pyfunc
    from mlflow.models import Model

    save_package(tmp_path / "package", thrifty())
    save_mlflow_model(tmp_path / "package", tmp_path / "model", Model(), "# card")
    assert (tmp_path / "model" / PACKAGE_PATH).is_dir()
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    required = {column.name for column in loaded.metadata.signature.inputs if column.required}
    assert required == {"age"}, "vip may be empty"
    answers = loaded.predict(pd.DataFrame([NEEDED]))
    same = loaded.predict(pd.DataFrame([NEEDED | {"plan": "pro"}]))
    assert answers["label"].tolist() == same["label"].tolist()
