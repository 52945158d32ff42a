"""One real step in its real image: its result lies in the bucket, is believed, and its log is the task's."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="factory-airflow-"))

from include.specs import ROOT, Platform, load_platform
from include.store.artifacts import ArtifactStore
from include.store.runs import RunFolder
from tests.cluster.conftest import IMAGE, S3_ENDPOINT, Cluster, image_is_there
from tests.cluster.tries import context_of, one_try

pytestmark = [pytest.mark.timeout(300), pytest.mark.cluster_core]
RUN = "manual__1"


@pytest.fixture
def check(
    cluster: Cluster,
    bucket: str,
    database_uri: str,
    platform: Platform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Return a maker of the task 'check' of the shipped model diabetes."""
    image_is_there(cluster)
    told = {"FACTORY_ARTIFACTS_URI": f"s3://{bucket}/real", "AWS_ENDPOINT_URL": str(S3_ENDPOINT)}
    secret = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    secret["FACTORY_DATABASE_URI"] = database_uri
    api, namespace = cluster.api, cluster.namespace
    name = f"real-{secrets.token_hex(3)}"
    api.create_namespaced_config_map(namespace, {"metadata": {"name": name}, "data": told})
    api.create_namespaced_secret(namespace, {"metadata": {"name": name}, "stringData": secret})
    kubernetes = {
        "namespace": namespace,
        "in_cluster": False,
        "config_file": cluster.kubeconfig,
        "image": IMAGE,
        "config_map": name,
        "secret": name,
    }
    (tmp_path / "platform.yaml").write_text(json.dumps({"runtime": "kubernetes", "kubernetes": kubernetes}))
    monkeypatch.setenv("FACTORY_PLATFORM_FILE", str(tmp_path / "platform.yaml"))
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    load_platform.cache_clear()

    def make() -> Any:
        from include.workflow.build import dags

        task = dags("automl_pipeline")["diabetes.automl_pipeline"].get_task("check")
        rendered = {"run_name('automl_pipeline', run_id)": f"automl_pipeline.{RUN}", "step_params(params)": "{}"}
        task.arguments = [rendered.get(text.strip("{ }"), text) for text in task.arguments]
        task.labels = {**task.labels, "model-factory/run": RUN}
        return task

    return make


def test_a_step_that_is_done_is_believed_and_its_pod_deleted(check: Any, cluster: Cluster, capsys: Any) -> None:
    context = context_of("check", RUN)
    answer = one_try(check, context)
    assert answer["status"] == "done"
    assert answer["values"]["rows"] == 442
    folder = RunFolder(ArtifactStore.of(load_platform()), "diabetes", f"automl_pipeline.{RUN}")
    assert folder.result("check").message == answer["message"]
    left = [pod.metadata.name for pod in cluster.api.list_namespaced_pod(cluster.namespace).items]
    assert not [name for name in left if name.startswith("diabetes-check")]
    assert "442 rows" in capsys.readouterr().out, "what the step said is in the task's log"


def test_airflows_own_runner_defers_the_task_and_takes_it_up_again(
    check: Any, cluster: Cluster, tmp_path: Path
) -> None:
    own = {
        "PYTHONPATH": str(ROOT),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    environment = {**os.environ, **own}
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
    script = str(Path(__file__).with_name("airflow_run.py"))
    done = subprocess.run(
        [sys.executable, script, "diabetes.automl_pipeline", "check"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert lines, done.stdout[-4000:] + done.stderr[-4000:]
    answer = json.loads(lines[0].removeprefix("ANSWER"))
    assert answer["state"] == "success", done.stdout[-4000:]
    assert answer["value"]["values"]["rows"] == 442
    assert "Started pod diabetes-check-1-" in done.stdout + done.stderr
