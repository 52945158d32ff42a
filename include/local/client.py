"""Send traffic to the model server as a service would: predictions first, their labels later."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from include.local.traffic import Request
from include.specs import FactoryError, Platform
from include.store.keys import serving_key
from include.store.tls import client_context

BATCH = 100
LABEL_DELAY = timedelta(weeks=1)


class TrafficError(FactoryError):
    """The model server refused a request of the replayed traffic."""


class ModelClient:
    """A client of one model on the model server."""

    def __init__(self, platform: Platform, model: str) -> None:
        self.url = f"{platform.serving_url}/v1/models/{model}"
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {serving_key(platform)}"},
            timeout=30,
            trust_env=False,
            verify=client_context(platform) if self.url.startswith("https:") else True,
        )

    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_delay(60),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON answer; ids make sending again harmless, so a broken connection is tried again."""
        response = self._http.post(f"{self.url}{path}", json=body)
        if response.is_error:
            raise TrafficError(f"{self.url}{path} answered {response.status_code}: {response.text[:500]}")
        answer: dict[str, Any] = response.json()
        return answer

    def predict(self, request: Request) -> dict[str, Any]:
        """Return the answer to one request."""
        return self._post("/predict", _body(request))

    def predict_all(self, requests: Sequence[Request]) -> int:
        """Send ``requests`` in batches; return how many were answered."""
        answered = 0
        for begin in range(0, len(requests), BATCH):
            body = {"instances": [_body(request) for request in requests[begin : begin + BATCH]]}
            answered += len(self._post("/predict/batch", body)["predictions"])
        return answered

    def send_labels(self, requests: Sequence[Request]) -> int:
        """Send the labels of ``requests`` as they become known a week later; return how many were accepted."""
        accepted = 0
        for begin in range(0, len(requests), BATCH):
            labels = [
                {
                    "id": request.id,
                    "label": request.label,
                    "observed_at": (request.event_time + LABEL_DELAY).isoformat(),
                }
                for request in requests[begin : begin + BATCH]
            ]
            accepted += int(self._post("/feedback", {"labels": labels})["accepted"])
        return accepted

    @contextmanager
    def steady(self, requests: Sequence[Request], per_second: float) -> Iterator[dict[str, int]]:
        """Send single requests at a steady rate in the background for the length of the ``with`` block.

        Gives a count of answers by variant, which grows while the block runs.
        """
        counts: dict[str, int] = {}
        stop = threading.Event()

        def send() -> None:
            for request in requests:
                if stop.wait(1 / per_second):
                    return
                variant = str(self.predict(request)["variant"])
                counts[variant] = counts.get(variant, 0) + 1

        thread = threading.Thread(target=send, name="steady-traffic", daemon=True)
        thread.start()
        try:
            yield counts
        finally:
            stop.set()
            thread.join(timeout=10)


def _body(request: Request) -> dict[str, Any]:
    return {"id": request.id, "event_time": request.event_time.isoformat(), "features": request.features}
