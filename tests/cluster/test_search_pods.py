"""Search workers in real pods: they share a study in PostgreSQL and rows in S3, and one of them is lost."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg2
import pytest

from benchmarks.search_pods import PIPELINE, SPEC, Run, measure
from include.automl.search import search
from include.specs import load_platform, load_spec
from include.steps.context import StepContext
from include.steps.search_plan import gather, plan_of
from tests.cluster.conftest import IMAGE, Cluster, image_is_there

TRIALS, MANY = 8, 24


@pytest.fixture
def models(
    cluster: Cluster, host_address: str, database_uri: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Return the folder of specs; everything that the workers' pods read is in place."""
    image_is_there(cluster)
    name = f"search_{secrets.token_hex(4)}"
    connection = psycopg2.connect(database_uri.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    uri = f"{database_uri.rpartition('/')[0]}/{name}"
    settings = {
        "FACTORY_ARTIFACTS_URI": f"s3://{bucket}/factory",
        "FACTORY_MLFLOW_URI": f"http://{host_address}:5500",
        "FACTORY_SERVING_URL": f"http://{host_address}:8500",
        "AWS_ENDPOINT_URL": os.environ["FACTORY_TEST_S3"],
        "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
    }
    private = {
        "FACTORY_DATABASE_URI": uri,
        "FACTORY_OPTUNA_URI": uri,
        **{name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
    }
    here = {
        "FACTORY_HOME": str(tmp_path / "home"),
        "FACTORY_RUNTIME": "kubernetes",
        "FACTORY_MODELS_DIR": str(tmp_path),
        "FACTORY_KUBERNETES__NAMESPACE": cluster.namespace,
        "FACTORY_KUBERNETES__IN_CLUSTER": "false",
        "FACTORY_KUBERNETES__CONFIG_FILE": cluster.kubeconfig,
        "FACTORY_KUBERNETES__IMAGE": IMAGE,
        "FACTORY_KUBERNETES__CONFIG_MAP": "search-config",
        "FACTORY_KUBERNETES__SECRET": "search-secrets",
    }
    for key, value in {**settings, **private, **here}.items():
        monkeypatch.setenv(key, value)
    metadata = {"metadata": {"name": "search-config"}}
    cluster.api.create_namespaced_config_map(cluster.namespace, {**metadata, "data": settings})
    metadata = {"metadata": {"name": "search-secrets"}}
    cluster.api.create_namespaced_secret(cluster.namespace, {**metadata, "stringData": private})
    load_platform.cache_clear()
    yield tmp_path
    for kind in ("config_map", "secret"):
        name = "search-config" if kind == "config_map" else "search-secrets"
        getattr(cluster.api, f"delete_namespaced_{kind}")(name, cluster.namespace)
    load_platform.cache_clear()


def prepared(models: Path, workers: int, trials: int) -> Run:
    """Return a run whose rows are prepared in S3."""
    name = f"shop{workers}"
    (models / f"{name}.yaml").write_text(SPEC.format(name=name, trials=trials, workers=workers))
    made = Run(load_spec(name))
    made.prepare()
    return made


def test_a_lost_pod_loses_only_its_running_trial(cluster: Cluster, models: Path, tmp_path: Path) -> None:
    run = prepared(models, 2, TRIALS)
    one, two = run.pod(1, cluster.api), run.pod(2, cluster.api)
    deadline = time.monotonic() + 180
    while one.phase() == "Pending":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    while "trial" not in (cluster.api.read_namespaced_pod_log(one.name, cluster.namespace) or ""):
        assert time.monotonic() < deadline, "the first trial of the pod that is to be lost has ended"
        time.sleep(0.5)
    one.kill()
    again = run.pod(1, cluster.api)  # what Airflow's next try does
    for pod in (two, again):
        pod.wait()
    results = [run.result(place) for place in (1, 2)]
    assert [result.status for result in results] == ["done", "done"]

    with ExitStack() as resources:
        last = StepContext(run.spec, load_platform(), "search", "search", PIPELINE, run.name, {}, tmp_path, resources)
        _, plan, _ = plan_of(last)
        gather(last, plan.scratch)
        found = search(plan)
    interrupted = [record for record in found.records if record.state == "interrupted"]
    ended = [record for record in found.records if record not in interrupted]
    assert len(ended) == TRIALS and len(interrupted) <= 1
    assert {record.place for record in ended} == {1, 2}
    assert found.winner.number in {result.values["best"] for result in results}
    assert found.file.is_file()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_however_many_pods_make_the_same_number_of_trials(cluster: Cluster, models: Path, workers: int) -> None:
    run = prepared(models, workers, MANY)
    seconds, results = measure(run, lambda place: run.pod(place, cluster.api))
    shares = [result.values["trials"] for result in results]
    print(f"{workers} search pods: {MANY} trials in {seconds:.0f} s, of each {shares}")
    assert [result.status for result in results] == ["done"] * workers
    assert sum(shares) == MANY
