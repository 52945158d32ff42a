"""What the client of Airflow's API makes of its errors."""

from __future__ import annotations

import httpx
import pytest

from include.local.airflow_api import AirflowApi, AirflowApiError

RUN = {"dag_id": "a", "dag_run_id": "r", "state": "queued", "triggered_by": None, "run_after": "2026-01-01T00:00:00Z"}


def client(*answers: tuple[int, object]) -> tuple[AirflowApi, list[str]]:
    """Return a client that gets these answers to what it asks behind the login, and the list of what it asked."""
    left, asked = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "x"})
        offset = request.url.params.get("offset")
        asked.append(f"{request.method} {request.url.path}" + (f" from {offset}" if offset else ""))
        status, body = left.pop(0)
        return httpx.Response(status, json=body)

    api = AirflowApi("http://airflow", "admin", "secret")
    api._http = httpx.Client(base_url=api.url, transport=httpx.MockTransport(answer))
    return api, asked


def test_a_trigger_that_airflow_failed_at_is_sent_again_and_starts_one_run() -> None:
    api, asked = client((500, {"detail": "database is locked"}), (409, {"detail": "there already"}), (200, RUN))
    assert api.trigger("a", "r", {}).run_id == "r"
    assert asked == ["POST /api/v2/dags/a/dagRuns"] * 2 + ["GET /api/v2/dags/a/dagRuns/r"]


def test_a_refusal_is_told_at_once() -> None:
    api, asked = client((404, {"detail": "no such DAG"}))
    with pytest.raises(AirflowApiError, match=r"404.*no such DAG"):
        api.trigger("a", "r", {})
    assert len(asked) == 1


def test_a_list_is_read_page_by_page() -> None:
    pages = [
        {"dags": [{"dag_id": f"d{i}"} for i in range(*span)], "total_entries": 110} for span in ((100,), (100, 110))
    ]
    api, asked = client(*((200, page) for page in pages))
    assert api.dag_ids() == [f"d{i}" for i in range(110)]
    assert asked == ["GET /api/v2/dags from 0", "GET /api/v2/dags from 100"]
