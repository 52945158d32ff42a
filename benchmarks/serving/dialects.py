"""How each system is asked, and where the probabilities are in its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.model import FEATURES, NAME

Row = Sequence[float]


@dataclass(frozen=True)
class Dialect:
    """A system's own protocol, in its leanest form.

    Attributes:
        one: path and body of a request for a row.
        many: path and body of a request for several rows.
        read: takes the decoded answer of either, and returns the probability of class 1 of each row.
    """

    one: Callable[[Row], tuple[str, Any]]
    many: Callable[[Sequence[Row]], tuple[str, Any]]
    read: Callable[[Any], list[float]]

    def request(self, rows: Sequence[Row]) -> tuple[str, bytes]:
        """Return path and body of a request for ``rows``."""
        path, body = self.one(rows[0]) if len(rows) == 1 else self.many(rows)
        return path, json.dumps(body, separators=(",", ":")).encode()


def _named(row: Row) -> dict[str, Any]:
    return {"features": dict(zip(FEATURES, row, strict=True))}


def _tensor(rows: Sequence[Row]) -> tuple[str, Any]:
    flat = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), len(FEATURES)], "datatype": "FP32", "data": flat}
    return f"/v2/models/{NAME}/infer", {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


OURS = Dialect(
    one=lambda row: (f"/v1/models/{NAME}/predict", _named(row)),
    many=lambda rows: (f"/v1/models/{NAME}/predict/batch", {"instances": [_named(row) for row in rows]}),
    read=lambda answer: [item["probabilities"]["1"] for item in answer.get("predictions", [answer])],
)
PROTOCOL_V2 = Dialect(
    one=lambda row: _tensor([row]),
    many=_tensor,
    read=lambda answer: answer["outputs"][0]["data"][1::2],
)
MLFLOW = Dialect(
    one=lambda row: ("/invocations", {"inputs": [list(row)]}),
    many=lambda rows: ("/invocations", {"inputs": [list(row) for row in rows]}),
    read=lambda answer: list(answer["predictions"]),
)
BENTOML = Dialect(
    one=lambda row: ("/predict", {"rows": [list(row)]}),
    many=lambda rows: ("/predict", {"rows": [list(row) for row in rows]}),
    read=lambda answer: [probabilities[1] for probabilities in answer],
)
