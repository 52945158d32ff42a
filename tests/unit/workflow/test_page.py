"""The page in the Airflow UI: what it says of models and runs, and which files it hands out."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from include.specs import load_platform
from include.store.artifacts import ArtifactStore
from include.store.signals import SignalStore, Window
from include.workflow.page.overview import judge, recent_runs
from tests.unit.workflow.fakes import RUN, leave_result

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)


@pytest.fixture
def page(write_spec):
    """Return a client of the page that Airflow has let in."""
    from fastapi.testclient import TestClient

    from include.workflow.page.app import make_app, reader

    write_spec("shop")
    app = make_app()
    app.dependency_overrides[reader] = lambda: None
    with TestClient(app) as client:
        yield client


@pytest.fixture
def registry(monkeypatch):
    """Answer as MLflow's REST interface does, in two pages."""
    pages = {
        "": {
            "registered_models": [{"name": "other", "aliases": [{"alias": "champion", "version": "9"}]}],
            "next_page_token": "t",
        },
        "t": {"registered_models": [{"name": "shop", "aliases": [{"alias": "champion", "version": "41"}]}]},
    }

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path.startswith("/api/2.0/mlflow/registered-models/search?max_results=1000")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(pages["t" if "page_token=t" in self.path else ""]).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("FACTORY_MLFLOW_URI", f"http://127.0.0.1:{server.server_port}")
    load_platform.cache_clear()
    yield server
    server.shutdown()


def test_a_failure_outweighs_a_rejection_and_a_rejection_all_that_went_well(platform, tmp_path):
    def left(task, status, ago):
        return leave_result(platform, tmp_path / "work", task, status, ago=ago)

    check, gate = left("check", "done", 30), left("gate", "rejected", 20)
    register, close = left("register", "done", 10), left("close_retraining", "done", 5)
    assert judge("automl_pipeline", [check]) == ("unfinished", "after check: check is done")
    assert judge("automl_pipeline", [register, check]) == ("done", "register is done")
    assert judge("model_retraining", [check, gate, close]) == ("rejected", "gate: gate is rejected")
    assert judge("model_deployment", [gate, left("rollback", "failed", 1)]) == (
        "failed",
        "rollback: rollback is failed",
    )
    assert judge("automl_pipeline", []) == ("unfinished", "")


def test_the_latest_runs_are_found_by_the_time_in_their_names(platform, tmp_path):
    names = [
        "automl_pipeline.scheduled__2026-11-18T03-00-00-00-00",
        "automl_pipeline.manual__2026-11-20T10-00-00.5-00-00_x",
        "automl_pipeline.life-automl-20261119T101500",
        "model_monitoring.manual__2026-01-01T00-00-00-00-00",
    ]
    for age, name in zip((30, 10, 20, 40), names, strict=True):
        leave_result(platform, tmp_path / "work", "check", run=name, ago=age)
    (tmp_path / "home" / "artifacts" / "runs" / "shop" / "automl_pipeline.manual__2026-11-21T00-00-00").mkdir()
    store = ArtifactStore.of(platform)
    assert [run.name for run in recent_runs(store, "shop", 3)] == [names[1], names[2], names[3]]
    assert [run.name for run in recent_runs(store, "shop", 9)] == [names[1], names[2], names[0], names[3]]


def test_the_overview_tells_of_runs_windows_requests_and_versions(page, platform, registry, tmp_path):
    leave_result(
        platform, tmp_path / "work", "gate", "rejected", message="roc_auc 0.6 < 0.7 & <script>alert(1)</script>"
    )
    signals = SignalStore(platform)
    thin = {"judged": False, "note": "too few rows"}
    for week, (raised, evidence) in enumerate((([], thin), ([], {"judged": True}), (["drift"], {"judged": True}))):
        start = MONDAY - timedelta(weeks=3 - week)
        window = Window("shop", start, start + timedelta(weeks=1), "41", 500, raised, evidence, "run", MONDAY)
        signals.record(window)
    signals.request_retraining("shop", MONDAY, "2 of 3 windows drifted", {})
    text = page.get("/").text
    assert "roc_auc 0.6 &lt; 0.7 &amp; &lt;script&gt;" in text
    assert "<script>" not in text
    assert '<span class="badge rejected">rejected</span>' in text
    assert "1 of 3 windows raised a signal" in text
    assert re.findall(r'class="window(.*?)"', text) == [" thin", "", " signal"]
    assert "too few rows; 500 predictions of version 41" in text
    assert "2 of 3 windows drifted" in text
    assert "waits for the triggerer" in text
    assert f"http://127.0.0.1:{registry.server_port}/#/models/shop/versions/41" in text
    assert "does not answer" not in text


def test_the_page_lives_without_mlflow_and_without_runs(page, monkeypatch):
    monkeypatch.setenv("FACTORY_MLFLOW_URI", "http://127.0.0.1:9")
    load_platform.cache_clear()
    text = page.get("/").text
    assert "MLflow at http://127.0.0.1:9 does not answer" in text
    assert "no run yet" in text
    assert page.get("/models/shop").status_code == 200


def test_a_database_that_is_away_is_told(page, monkeypatch, tmp_path):
    monkeypatch.setenv("FACTORY_DATABASE_URI", "postgresql://factory:sesame-7@127.0.0.1:9/factory")
    load_platform.cache_clear()
    answer = page.get("/")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert "sesame-7" not in answer.text


def test_broken_specs_are_on_top(page, write_spec):
    write_spec("broken", more="serch: {}")
    text = page.get("/").text
    assert "did you mean &#39;search&#39;?" in text
    assert page.get("/models/broken").status_code == 404


def test_a_models_page_leads_to_the_artifacts_of_its_steps(page, platform, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "gates.html").write_text("<h1>gates</h1>")
    (work / "model.skops").write_bytes(b"x")
    links = {"Gate report": "http://127.0.0.1:8080/x", "Evil": "javascript:alert(1)"}
    leave_result(platform, work, "gate", links=links, artifacts=["gates.html", "model.skops"])
    text = page.get("/models/shop").text
    assert f"/factory/artifacts/shop/{RUN}/gate/gates.html" in text
    assert "model.skops" not in text
    assert "javascript:" not in text


@pytest.fixture
def artifacts(page, platform, tmp_path):
    """Leave files in a run folder, and one beside the artifact store."""
    work = tmp_path / "work"
    (work / "docs").mkdir(parents=True)
    for name in ("report.html", "gates.json", "card.md", "model.skops", "docs/index.html"):
        (work / name).write_text("<script>1</script>")
    leave_result(platform, work, "gate")
    (platform.home / "secret.json").write_text("secret")
    return page


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("report.html", "text/html; charset=utf-8"),
        ("docs/index.html", "text/html; charset=utf-8"),
        ("gates.json", "application/json"),
        ("card.md", "text/plain; charset=utf-8"),
    ],
)
def test_artifacts_are_served_in_a_sandbox(artifacts, name, kind):
    answer = artifacts.get(f"/artifacts/shop/{RUN}/gate/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "connect-src 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"shop/{RUN}/gate/model.skops", 415),
        (f"shop/{RUN}/gate/missing.html", 404),
        (f"shop/{RUN}/gate/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.json", 404),
        (f"shop/{RUN}/%2e%2e/gate/report.html", 404),
        (f"shop/{RUN}/gate/%2Fetc%2Fx.json", 404),
        (f"shop/..%2f..%2f..%2f{RUN}/gate/report.html", 404),
        (f"shop/{RUN}/gate/x%00.html", 404),
    ],
)
def test_nothing_else_is_handed_out(artifacts, path, status):
    answer = artifacts.get(f"/artifacts/{path}")
    assert answer.status_code == status
    assert "secret" not in answer.text or "secret.json" in path
    assert answer.text != "secret"
