"""A Seldon Core component in front of the factory's model server: for Seldon's own protocol, and for its graphs.

``seldon-core-microservice ModelFactory --service-type MODEL`` finds the class by the file's name. The model server runs
beside it in the pod and loads the version from the registry; seldon-core's old libraries thus never meet a model's.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from typing import Any

import requests
from seldon_core.flask_utils import SeldonMicroserviceException
from seldon_core.user_model import SeldonComponent, SeldonResponse

SECONDS, START_SECONDS = 30, 300
KEY = "FACTORY_SERVING_API_KEY"
"""Variable with a key of the role ``predict``, where the model server asks for one."""


class ModelFactory(SeldonComponent):
    """Answers with what the model server answers: probabilities by class, or one value a row.

    Args:
        url: base URL of the model server.
        model: whom it asks; its only model when absent.
        version: a version that is loaded there; by the route when absent.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8500", model: str | None = None, version: str | None = None
    ) -> None:
        super().__init__()
        self._url, self._model, self._version = url.rstrip("/"), model, version
        self._session = requests.Session()
        self._session.trust_env = False
        if key := os.environ.get(KEY):
            self._session.headers["X-API-Key"] = key

    def load(self) -> None:
        """Wait until the model server beside this one is ready."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.health_status()
            except SeldonMicroserviceException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def predict(self, features: Any, names: Iterable[str], meta: Any = None) -> SeldonResponse:
        """Return the answer to rows: an array with names (or in the model's order), or JSON with ``instances``.

        Raises:
            SeldonMicroserviceException: with the model server's status and words.
        """
        del meta
        body = {"instances": [{"features": row} for row in self._rows(features, list(names or ()))]}
        answers = self._ask("POST", f"{self._path()}/predict/batch", body)["predictions"]
        tags = {key: answers[0][key] for key in ("model", "version", "variant")}
        if "probabilities" not in answers[0]:
            return SeldonResponse([[answer["label"]] for answer in answers], tags)
        return SeldonResponse([list(answer["probabilities"].values()) for answer in answers], tags)

    def class_names(self) -> list[str]:
        """Return the columns of an answer: the classes, or ``label``."""
        classes = self._described()["classes"]
        return [str(name) for name in classes] if classes else ["label"]

    def health_status(self) -> list[str]:
        """Return ``["ready"]``; the component is as healthy as the model server.

        Raises:
            SeldonMicroserviceException: 503, it is not ready.
        """
        self._ask("GET", "/health/ready")
        return ["ready"]

    def init_metadata(self) -> dict[str, Any]:
        """Return the model's metadata as Seldon Core wants it."""
        version = self._described()
        shape = [len(version["features"])]
        names = [field["name"] for field in version["features"]]
        outputs = self.class_names()
        return {
            "name": self._entry()["name"],
            "versions": [version["version"]],
            "platform": "model-factory",
            "inputs": [{"messagetype": "tensor", "schema": {"names": names, "shape": shape}}],
            "outputs": [{"messagetype": "tensor", "schema": {"names": outputs, "shape": [len(outputs)]}}],
        }

    def _rows(self, features: Any, names: list[str]) -> list[dict[str, Any]]:
        if isinstance(features, dict):
            return list(features.get("instances", [features]))
        if isinstance(features, (str, bytes)):
            raise SeldonMicroserviceException("send rows: data.ndarray with names, data.tensor, or jsonData")
        table = features.tolist() if hasattr(features, "tolist") else list(features)
        if table and isinstance(table[0], dict):
            return table
        if table and not isinstance(table[0], list):
            table = [table]
        types = {field["name"]: field["type"] for field in self._described()["features"]}
        names = names or list(types)
        if any(len(row) != len(names) for row in table):
            raise SeldonMicroserviceException(
                f"a row has another number of columns than there are names ({len(names)})"
            )
        return [
            {name: _typed(value, types.get(name)) for name, value in zip(names, row)}  # noqa: B905 - just checked
            for row in table
        ]

    def _entry(self) -> dict[str, Any]:
        """Return what the model server says of the model."""
        models: list[dict[str, Any]] = self._ask("GET", "/models")["models"]
        found = [one for one in models if self._model in (None, one["name"])]
        if len(found) != 1:
            known = ", ".join(one["name"] for one in models) or "none"
            raise SeldonMicroserviceException(f"parameter 'model' must name one of the server's models: {known}", 503)
        return found[0]

    def _described(self) -> dict[str, Any]:
        """Return what the model server says of the version that answers most."""
        entry = self._entry()
        wanted = self._version
        if wanted is None and entry["route"]:
            wanted = max(entry["route"]["variants"], key=lambda one: one["weight"])["version"]
        versions: list[dict[str, Any]] = [one for one in entry["versions"] if wanted in (None, one["version"])]
        if not versions:
            raise SeldonMicroserviceException(f"version {wanted} of '{entry['name']}' is not loaded", 503)
        return versions[0]

    def _path(self) -> str:
        at = f"/v1/models/{self._model or self._entry()['name']}"
        return at if self._version is None else f"{at}/versions/{self._version}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            response = self._session.request(method, f"{self._url}{path}", json=body, timeout=SECONDS)
        except requests.RequestException as error:
            message = f"the model server at {self._url} does not answer: {type(error).__name__}"
            raise SeldonMicroserviceException(message, 503, reason="MODEL_SERVER_AWAY") from error
        if response.status_code >= 300:
            raise SeldonMicroserviceException(response.text[:2000], response.status_code, reason="MODEL_SERVER_REFUSES")
        return response.json()


def _typed(value: Any, kind: str | None) -> Any:
    """Return a value as the model server takes it.

    NaN is a missing value. numpy, through which Seldon Core reads an array, made text of everything where columns of
    different types came together.
    """
    if isinstance(value, float) and math.isnan(value):
        return None
    if not isinstance(value, str) or kind not in ("number", "boolean"):
        return value
    if value in ("None", "nan", "null"):
        return None
    if kind == "boolean":
        return {"True": True, "true": True, "False": False, "false": False}.get(value, value)
    try:
        return float(value)
    except ValueError:
        return value
