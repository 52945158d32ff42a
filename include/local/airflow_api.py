"""The part of Airflow's REST API that the shipped run uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from include.specs import FactoryError

ENDED = ("success", "failed")
PAGE = 100
"""Most entries that Airflow gives at once by default."""


class AirflowApiError(FactoryError):
    """Airflow refused a request, or did not answer."""


class AirflowUnavailableError(AirflowApiError):
    """Airflow failed at a request that may succeed later."""


@dataclass(frozen=True)
class DagRun:
    """One DAG run: its id, state and what triggered it."""

    dag_id: str
    run_id: str
    state: str
    triggered_by: str
    run_after: datetime


@dataclass(frozen=True)
class TaskState:
    """The state of one task of a DAG run; ``ended`` is None while it runs."""

    task_id: str
    state: str | None
    started: datetime | None
    ended: datetime | None
    attempt: int


class AirflowApi:
    """A client of Airflow's REST API (v2), logged in as the stack's administrator."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._user, self._password = user, password
        self._http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self._logged_in = False

    def _login(self) -> None:
        body = {"username": self._user, "password": self._password}
        response = self._http.post("/auth/token", json=body)
        if response.is_error:
            raise AirflowApiError(
                f"{self.url} refused the login of '{self._user}' ({response.status_code}); `make clean`"
            )
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
        self._logged_in = True

    @retry(
        retry=retry_if_exception_type((httpx.TransportError, AirflowUnavailableError)),
        stop=stop_after_delay(60),
        wait=wait_fixed(1),
        reraise=True,
    )
    def _call(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON answer; a broken connection, or an error of Airflow's own, is borne for a minute."""
        if not self._logged_in:
            self._login()
        response = self._http.request(method, f"/api/v2{path}", **options)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._login()
            response = self._http.request(method, f"/api/v2{path}", **options)
        if response.is_error:
            kind = AirflowUnavailableError if response.is_server_error else AirflowApiError
            raise kind(f"{method} {path}: Airflow answered {response.status_code}: {response.text[:500]}")
        return response.json()

    def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        """Return every entry of a list, which Airflow hands out by at most 100, whatever limit is asked for."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self._call("GET", path, params={"limit": PAGE, "offset": len(found)})
            found += answer[key]
            if not answer[key] or len(found) >= answer["total_entries"]:
                return found

    def dag_ids(self) -> list[str]:
        """Return the ids of every DAG that Airflow knows."""
        return [dag["dag_id"] for dag in self._pages("/dags", "dags")]

    def import_errors(self) -> list[str]:
        """Return the text of every import error."""
        return [error["stack_trace"] for error in self._pages("/importErrors", "import_errors")]

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> DagRun:
        """Start a run; a run of that id that exists already is returned as it is."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        try:
            return _dag_run(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body))
        except AirflowApiError as error:
            if " 409" not in str(error):
                raise
            return self.run(dag_id, run_id)

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Return one run."""
        return _dag_run(self._call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"))

    def runs(self, dag_id: str) -> list[DagRun]:
        """Return the runs of a DAG, newest first."""
        options = {"limit": 50, "order_by": "-run_after"}
        return [_dag_run(run) for run in self._call("GET", f"/dags/{dag_id}/dagRuns", params=options)["dag_runs"]]

    def tasks(self, run: DagRun) -> list[TaskState]:
        """Return the tasks of a run."""
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances"
        return [
            TaskState(
                item["task_id"], item["state"], _time(item["start_date"]), _time(item["end_date"]), item["try_number"]
            )
            for item in self._pages(path, "task_instances")
        ]

    def run_url(self, run: DagRun) -> str:
        """Return the address of a run in the Airflow UI."""
        return f"{self.url}/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def _dag_run(item: dict[str, Any]) -> DagRun:
    run_after = _time(item["run_after"])
    if run_after is None:
        raise AirflowApiError(f"run {item['dag_run_id']} has no date; is this Airflow 3?")
    return DagRun(item["dag_id"], item["dag_run_id"], item["state"], item.get("triggered_by") or "", run_after)
