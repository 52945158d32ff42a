"""The local target: the factory's own model server, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import httpx

from include.release.target import NotReadyError, ProbeReport, Statistics, Target, TargetError, VariantStatistics
from include.specs import Platform
from include.store.keys import serving_key
from include.store.retry import keep_trying
from include.store.routes import Route, Variant
from include.store.tls import client_context

LOAD_SECONDS = 120
PROBE_SECONDS = 30
_AWAY = (502, 503, 504)
_FIX = "start it ('make start' for the embedded one) or correct FACTORY_SERVING_URL, then run the step again"


class _AwayError(Exception):
    """The server did not answer, or answered that it cannot now."""


class LocalTarget(Target):
    """The model server at ``platform.serving_url``; it asks for the serving key."""

    name = "local"

    def __init__(self, platform: Platform, transport: httpx.BaseTransport | None = None) -> None:
        self._platform = platform
        self._transport = transport
        self._url = platform.serving_url.rstrip("/")

    def deploy(self, model: str, version: int) -> float:
        """See `Target.deploy`."""
        answer = self._ask("POST", f"/v1/models/{model}/versions/{version}/load", f"{model} version {version}")
        return float(answer["load_ms"])

    def route(self, route: Route) -> Route:
        """See `Target.route`."""
        body = {"variants": route.as_dict()["variants"]}
        return _route(self._ask("PUT", f"/v1/routes/{route.model}", f"the route of {route.model}", body))

    def withdraw(self, model: str) -> None:
        """See `Target.withdraw`."""
        response = self._request("DELETE", f"/v1/routes/{model}")
        if response.status_code != httpx.codes.NOT_FOUND:
            _checked(response, f"to take {model} out")

    def current(self, model: str) -> Route | None:
        """See `Target.current`."""
        response = self._request("GET", f"/v1/routes/{model}")
        return None if response.status_code == httpx.codes.NOT_FOUND else _route(_checked(response, model))

    def statistics(self, model: str) -> Statistics:
        """See `Target.statistics`."""
        answer = self._ask("GET", f"/v1/models/{model}/statistics", f"statistics of {model}")
        variants = {
            name: VariantStatistics(
                name=name,
                version=str(entry["version"]),
                requests=entry["requests"],
                errors=entry["errors"],
                latency_ms=entry["latency_ms"],
                positives=entry.get("positives"),
            )
            for name, entry in answer["variants"].items()
        }
        return Statistics(answer["revision"], variants)

    def probe(
        self, model: str, rows: Sequence[Mapping[str, Any]], variant: str | None = None, version: int | None = None
    ) -> ProbeReport:
        """See `Target.probe`. One request a row, as a caller would send it; a probe is never repeated."""
        at = f"/v1/models/{model}" if version is None else f"/v1/models/{model}/versions/{version}"
        headers = {"X-Factory-Probe": "1"} | ({"X-Factory-Variant": variant} if variant else {})
        latencies: list[float] = []
        reasons: list[str] = []
        for row in rows:
            started = time.perf_counter()
            try:
                response = self._client.post(
                    f"{at}/predict", json={"features": dict(row)}, headers=headers, timeout=PROBE_SECONDS
                )
            except httpx.HTTPError as error:
                reasons.append(f"{type(error).__name__}: {error}")
                continue
            if response.is_success:
                latencies.append((time.perf_counter() - started) * 1000)
            else:
                reasons.append(_reason(response))
        return ProbeReport(len(rows), len(reasons), tuple(latencies), reasons[0] if reasons else "")

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self._url,
            headers={"Authorization": f"Bearer {serving_key(self._platform)}"},
            timeout=LOAD_SECONDS,
            transport=self._transport,
            verify=client_context(self._platform) if self._url.startswith("https:") else True,
        )

    def _ask(self, method: str, path: str, what: str, body: Any = None) -> dict[str, Any]:
        return _checked(self._request(method, path, body), what)

    def _request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Return the answer; while the server is away the request is made again."""

        def attempt() -> httpx.Response:
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                raise _AwayError(f"{type(error).__name__}: {error}") from error
            if response.status_code in _AWAY:
                raise _AwayError(_reason(response))
            return response

        service = f"model server at {self._url}"
        return keep_trying(attempt, service, self._platform.service_retry_seconds, (_AwayError,), _FIX)


def _checked(response: httpx.Response, what: str) -> dict[str, Any]:
    """Return the body of a good answer; turn any other into an error that says what to do."""
    if response.is_success:
        body: dict[str, Any] = response.json()
        return body
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise TargetError(
            f"the model server at {response.url.host} refuses the serving key; "
            "give both sides the same FACTORY_SERVING_KEY, or the same home"
        )
    message = f"the model server refuses {what}: {_reason(response)}"
    if response.request.method == "GET":
        raise TargetError(message)
    raise NotReadyError(f"{message}; nothing was changed")


def _reason(response: httpx.Response) -> str:
    """Return what the server said: the message of its error body, or the beginning of the text."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    while isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or str(body)
    return f"{response.status_code} {str(body)[:300]}"


def _route(answer: Mapping[str, Any]) -> Route:
    variants = tuple(
        Variant(entry["name"], str(entry["version"]), int(entry["weight"]), bool(entry.get("shadow", False)))
        for entry in answer["variants"]
    )
    return Route(answer["model"], variants, int(answer["revision"]))
