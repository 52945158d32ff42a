"""An Airflow beside the cluster: the embedded stack with the pod runtime, and every store where pods reach it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from include.local.airflow_api import AirflowApi
from include.local.environment import ADMIN, PARSED_EVERY, stack_secrets
from include.local.stack import Stack as LocalStack
from include.specs import ROOT, Platform, load_platform
from tests.cluster.conftest import IMAGE, S3_ENDPOINT, Cluster
from tests.cluster.pod_log import PodLog
from tests.integration.conftest import free_port

MODELS = "/etc/factory/models"
STARTS = 3
"""How often what did not answer in time is waited for again."""
CHURN_SEARCH = "search: {budget: 20s, folds: 3}"
FIXED_SEARCH = "search: {budget: 600s, max_trials: 3, folds: 3, parallel: 1}"
"""A search that ends by its count of trials, not by the clock: it finds the same wherever it runs."""
SMALL = """\
name: {name}
owner: team@example.com
data: {{source: {{type: dataset, name: {data}}}}}
problem: {{type: {kind}, target: {target}}}
search: {{budget: 600s, max_trials: 1, folds: 2, parallel: 1, families: [linear]}}
release: {{bake: 1s, min_requests: 1}}
"""


@dataclass(frozen=True)
class PodStack:
    """The stack under test."""

    platform: Platform
    environment: dict[str, str]
    cluster: Cluster
    log: PodLog

    def command(self, *words: str, timeout: float = 1500) -> subprocess.CompletedProcess[str]:
        """Run ``python -m include.local …`` as make does."""
        return self.run("include.local", *words, timeout=timeout)

    def start(self) -> None:
        """Start what does not run; a busy machine may take longer than a person is asked to wait at once."""
        said = []
        for _ in range(STARTS):
            done = self.command("start")
            if done.returncode == 0:
                return
            said.append(done.stdout)
        pytest.fail("\n".join(said))

    def run(self, module: str, *words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def api(self) -> AirflowApi:
        password = stack_secrets(self.platform)["airflow_password"]
        return AirflowApi(self.platform.airflow_url, ADMIN, password)

    def pid(self, program: str) -> int:
        """Return the process of a supervised program."""
        line = next(x for x in LocalStack(self.platform).status().splitlines() if x.startswith(program))
        return int(line.split("pid ")[1].split(",")[0])


def write_models(folder: Path) -> None:
    """Write the models of these tests: churn as it is shipped, but for a search that ends by its trials, and a small one."""
    folder.mkdir()
    shipped = (ROOT / "config" / "models" / "churn.yaml").read_text()
    assert CHURN_SEARCH in shipped
    (folder / "churn.yaml").write_text(shipped.replace(CHURN_SEARCH, FIXED_SEARCH))
    small = {"name": "small", "data": "diabetes", "kind": "regression", "target": "progression"}
    (folder / "small.yaml").write_text(SMALL.format(**small))


@contextmanager
def pod_stack(cluster: Cluster, folder: Path, host: str, database: str, redis: str, bucket: str) -> Iterator[PodStack]:
    """Give a stack that is not started yet; it is stopped at the end."""
    models = folder / "models"
    write_models(models)
    told = _settings(host, bucket)
    secret = _secrets(database)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FACTORY_", "AIRFLOW"))},
        **told,
        **secret,
        "FACTORY_HOME": str(folder / "home"),
        "FACTORY_MODELS_DIR": str(models),
        "FACTORY_RUNTIME": "kubernetes",
        "FACTORY_SERVING__CACHE": redis,
        "FACTORY_KUBERNETES__NAMESPACE": cluster.namespace,
        "FACTORY_KUBERNETES__IMAGE": IMAGE,
        "FACTORY_KUBERNETES__IN_CLUSTER": "false",
        "FACTORY_KUBERNETES__CONFIG_FILE": cluster.kubeconfig,
        "FACTORY_KUBERNETES__RESOURCES": json.dumps(
            {
                "requests": {"cpu": "200m", "memory": "256Mi"},
                "limits": {"memory": "3Gi"},
                "volumes": [{"name": "models", "path": MODELS, "config_map": "factory-models"}],
            }
        ),
        PARSED_EVERY: "120",
        **_airflow_database(database),
        "MLFLOW_BACKEND_STORE_URI": f"{database.rpartition('/')[0]}/mlflow",
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{bucket}/mlflow",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
        "COLUMNS": "180",
    }
    in_pods = {**told, "FACTORY_MODELS_DIR": MODELS}
    _keep(cluster, models, in_pods, secret)
    before, kept = dict(os.environ), os.environ.get("FACTORY_TEST_KEEP")
    os.environ.clear()
    os.environ.update(environment)
    load_platform.cache_clear()
    stack = PodStack(load_platform(), environment, cluster, PodLog(cluster.api, cluster.namespace))
    try:
        yield stack
    finally:
        stack.command("stop")
        stack.log.stop()
        if kept:
            shutil.copytree(folder / "home", Path(kept) / "home", dirs_exist_ok=True)
        os.environ.clear()
        os.environ.update(before)
        load_platform.cache_clear()


def _airflow_database(database: str) -> dict[str, str]:
    """Return where Airflow keeps its metadata: many runs at once are more than SQLite's one writer."""
    uri = f"{database.rpartition('/')[0]}/airflow"
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": uri.replace("+psycopg2", "+psycopg"),
    }


def _settings(host: str, bucket: str) -> dict[str, str]:
    return {
        "FACTORY_ARTIFACTS_URI": f"s3://{bucket}/factory",
        "FACTORY_MLFLOW_URI": f"http://{host}:{free_port()}",
        "FACTORY_SERVING_URL": f"http://{host}:{free_port()}",
        "FACTORY_AIRFLOW_URL": f"http://127.0.0.1:{free_port()}",
        "AWS_ENDPOINT_URL": str(S3_ENDPOINT),
        "AWS_DEFAULT_REGION": os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
    }


def _secrets(database: str) -> dict[str, str]:
    """Return what belongs into a Secret; makes a database for the factory, Optuna, MLflow and Airflow each."""
    server = database.replace("+psycopg2", "")
    connection = psycopg2.connect(server)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in ("factory", "optuna", "mlflow", "airflow"):
            cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    uri = database.rpartition("/")[0]
    return {
        "FACTORY_DATABASE_URI": f"{uri}/factory",
        "FACTORY_OPTUNA_URI": f"{uri}/optuna",
        "FACTORY_SERVING_KEY": os.urandom(16).hex(),
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }


def _keep(cluster: Cluster, models: Path, settings: dict[str, str], secret: dict[str, str]) -> None:
    """Make the ConfigMaps and the Secret that pods read."""
    api, namespace = cluster.api, cluster.namespace
    specs = {path.name: path.read_text() for path in models.glob("*.yaml")}
    api.create_namespaced_config_map(namespace, {"metadata": {"name": "factory-config"}, "data": settings})
    api.create_namespaced_config_map(namespace, {"metadata": {"name": "factory-models"}, "data": specs})
    api.create_namespaced_secret(namespace, {"metadata": {"name": "factory-secrets"}, "stringData": secret})
