"""The local overlay and the chart, applied to a real cluster: their servers get ready, answer and come back."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.cluster.conftest import Cluster
from tests.cluster.kubectl import Kubectl, in_namespace
from tests.cluster.manifests.conftest import KUBERNETES

SERVERS = ("serving", "mlflow", "feast")
STAND_INS = ("StatefulSet/factory-postgres", "Deployment/factory-redis", "Deployment/factory-minio")
pytestmark = pytest.mark.timeout(900)


def held(cluster: Cluster) -> set[str]:
    """Return the names of the images that nodes hold."""
    nodes = cluster.api.list_node().items
    return {name.removeprefix("docker.io/") for node in nodes for one in node.status.images or [] for name in one.names}


@pytest.fixture(scope="module")
def stores(database_uri: str, redis_url: str, bucket: str) -> dict[str, dict[str, str]]:
    """Return the content of the Secrets, whose stores are real ones beside the cluster."""
    import psycopg2

    connection = psycopg2.connect(database_uri.replace("+psycopg2", ""))
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name in ("mlflow", "mlflow_auth", "feast"):
            cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    base, password = database_uri.rpartition("/")[0], secrets.token_urlsafe(16)
    keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    feast = base.replace("+psycopg2", "+psycopg")
    redis = urlsplit(redis_url)
    return {
        "factory-secrets": {
            **keys,
            "FACTORY_DATABASE_URI": database_uri.replace(
                "+psycopg2", "+psycopg"
            ),  # the one driver of the server's image
            "FACTORY_SERVING_KEY": secrets.token_urlsafe(16),
            "FACTORY_FEAST__REGISTRY": f"{{registry_type: sql, path: '{feast}/feast'}}",
            "FACTORY_FEAST__ONLINE_STORE": f"{{type: redis, connection_string: '{redis.hostname}:{redis.port}'}}",
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": password,
        },
        "factory-mlflow": {
            **keys,
            "MLFLOW_BACKEND_STORE_URI": f"{base}/mlflow",
            "MLFLOW_AUTH_DATABASE_URI": f"{base}/mlflow_auth",
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(24),
        },
    }


def without_stand_ins() -> list[dict[str, Any]]:
    """Return patches that leave the stores of the local overlay out: their images may be out of reach here."""
    versions = {"StatefulSet": "apps/v1", "Deployment": "apps/v1"}
    patches = []
    for name in STAND_INS:
        kind, _, thing = name.partition("/")
        gone = {"$patch": "delete", "apiVersion": versions[kind], "kind": kind, "metadata": {"name": thing}}
        patches.append({"target": {"kind": kind, "name": thing}, "patch": yaml.safe_dump(gone)})
    return patches


@pytest.fixture(scope="module")
def applied(
    kubectl: Kubectl,
    cluster: Cluster,
    namespace: str,
    rights: str,
    stores: dict[str, dict[str, str]],
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    """Apply the local overlay, with real stores beside the cluster, and return which servers' images nodes hold."""
    there = [name for name in SERVERS if f"model-factory/{name}:latest" in held(cluster)]
    if "serving" not in there or "mlflow" not in there:
        pytest.skip("no node holds model-factory/serving:latest and model-factory/mlflow:latest: load them first")
    for name, values in stores.items():
        kubectl.secret(namespace, name, values)
    endpoint = {"AWS_ENDPOINT_URL": os.environ["FACTORY_TEST_S3"], "AWS_DEFAULT_REGION": "us-east-1"}
    settings = {
        "factory-config": {**endpoint, "FACTORY_ARTIFACTS_URI": f"s3://{bucket}/artifacts"},
        "factory-mlflow": {
            **endpoint,
            "MLFLOW_S3_ENDPOINT_URL": endpoint["AWS_ENDPOINT_URL"],
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{bucket}/mlflow",
        },
    }
    generators = [
        {
            "name": name,
            "namespace": "model-factory",
            "behavior": "merge",
            "literals": [f"{k}={v}" for k, v in data.items()],
        }
        for name, data in settings.items()
    ]
    manifests = in_namespace(
        KUBERNETES / "overlays" / "local",
        tmp_path_factory.mktemp("local"),
        namespace,
        configMapGenerator=generators,
        generatorOptions={"disableNameSuffixHash": True},
        patches=without_stand_ins(),
    )
    absent = {f"Deployment/factory-{name}" for name in SERVERS if name not in there}
    fit, left_out = kubectl.fitting([m for m in manifests if f"{m['kind']}/{m['metadata']['name']}" not in absent])
    assert left_out == []
    kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(fit))
    return there


def ready(kubectl: Kubectl, namespace: str, name: str, seconds: int = 300) -> None:
    """Wait until a deployment's pods are ready; fail with what they say."""
    done = kubectl.tried(
        "rollout", "status", f"deployment/factory-{name}", f"--namespace={namespace}", f"--timeout={seconds}s",
        "--request-timeout=0",
    )  # fmt: skip
    if done.returncode:
        pods = kubectl(
            "describe", "pods", f"--namespace={namespace}", f"--selector=app.kubernetes.io/name=factory-{name}"
        )
        log = kubectl.tried("logs", f"deployment/factory-{name}", f"--namespace={namespace}", "--tail=40")
        pytest.fail(
            f"factory-{name} is not ready: {done.stdout}{done.stderr}\n{pods[-2500:]}\n{log.stdout}{log.stderr}"
        )


def asked(kubectl: Kubectl, namespace: str, service: str, path: str) -> str:
    """Return what a service answers, through the API server."""
    return kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/services/factory-{service}:http/proxy{path}")


@pytest.mark.parametrize("name", SERVERS)
def test_the_pods_of_the_local_overlay_get_ready(
    kubectl: Kubectl, namespace: str, applied: list[str], name: str
) -> None:
    if name not in applied:
        pytest.skip(f"no node holds model-factory/{name}:latest")
    ready(kubectl, namespace, name)
    pods = kubectl.json("get", "pods", f"--namespace={namespace}", f"--selector=app.kubernetes.io/name=factory-{name}")
    (pod,) = pods["items"]
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    mounts = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
    assert "/var/run/secrets/kubernetes.io/serviceaccount" not in mounts, "it holds a token of the cluster"


def test_the_model_server_answers_through_its_service(kubectl: Kubectl, namespace: str, applied: list[str]) -> None:
    ready(kubectl, namespace, "serving")
    assert "ready" in asked(kubectl, namespace, "serving", "/health/ready")
    assert "factory_" in asked(kubectl, namespace, "serving", "/metrics")


def test_mlflow_asks_for_a_password(kubectl: Kubectl, namespace: str, applied: list[str], stores) -> None:
    ready(kubectl, namespace, "mlflow")
    assert asked(kubectl, namespace, "mlflow", "/health").strip() == "OK"
    script = (
        "import os, urllib.error, urllib.request, base64, sys\n"
        "url = 'http://factory-mlflow:5500/api/2.0/mlflow/experiments/search'\n"
        "body = b'{\"max_results\": 1}'\n"
        "def ask(headers):\n"
        "    request = urllib.request.Request(url, body, {'Content-Type': 'application/json', **headers})\n"
        "    try:\n"
        "        return urllib.request.urlopen(request, timeout=20).status\n"
        "    except urllib.error.HTTPError as error:\n"
        "        return error.code\n"
        "user = os.environ['MLFLOW_TRACKING_USERNAME'] + ':' + os.environ['MLFLOW_TRACKING_PASSWORD']\n"
        "print(ask({}), ask({'Authorization': 'Basic ' + base64.b64encode(user.encode()).decode()}))\n"
    )
    ready(kubectl, namespace, "serving")
    said = kubectl("exec", f"--namespace={namespace}", "deployment/factory-serving", "--", "python", "-c", script)
    assert said.split() == ["401", "200"]


def test_a_pod_that_dies_is_replaced(kubectl: Kubectl, namespace: str, applied: list[str]) -> None:
    selector = [f"--namespace={namespace}", "--selector=app.kubernetes.io/name=factory-serving"]
    ready(kubectl, namespace, "serving")
    (before,) = kubectl.json("get", "pods", *selector)["items"]
    kubectl(
        "delete", "pod", before["metadata"]["name"], f"--namespace={namespace}", "--wait=true", "--request-timeout=0"
    )
    ready(kubectl, namespace, "serving")
    after = [pod["metadata"]["uid"] for pod in kubectl.json("get", "pods", *selector)["items"]]
    assert before["metadata"]["uid"] not in after


# The chart


def test_the_chart_installs_and_leaves(kubectl: Kubectl, applied: list[str], stores, tmp_path: Path) -> None:
    if shutil.which("helm") is None:
        pytest.skip("helm is not installed")
    name = f"factory-chart-{secrets.token_hex(3)}"
    values = {
        "serving": {"replicas": 1, "autoscaling": {"enabled": False}},
        "mlflow": {"replicas": 1},
        "feast": {"enabled": False},
        "disruptionBudgets": False,
        "priorityClasses": False,
        "config": {"AWS_ENDPOINT_URL": os.environ["FACTORY_TEST_S3"]},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    kubectl("create", "namespace", name)
    try:
        for secret, content in stores.items():
            kubectl.secret(name, secret, content)
        helm("install", "factory", KUBERNETES / "helm" / "model-factory", "--values", tmp_path / "values.yaml",
             "--namespace", name, "--wait", "--timeout", "5m")  # fmt: skip
        assert "ready" in asked(kubectl, name, "serving", "/health/ready")
        assert "deployed" in helm("status", "factory", "--namespace", name)
        helm("uninstall", "factory", "--namespace", name)
        deadline = time.monotonic() + 60
        while kubectl.json("get", "deployments,services,roles", f"--namespace={name}")["items"]:
            assert time.monotonic() < deadline, "the chart left something behind"
            time.sleep(1)
    finally:
        kubectl("delete", "namespace", name, "--wait=false", "--grace-period=0")


def helm(*arguments: object) -> str:
    """Run helm and return what it prints."""
    done = subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
