"""What the tests on a cluster share: the cluster that KUBECONFIG names, and servers of their own that pods reach.

Everything is made in a namespace of its own and removed at the end. Where KUBECONFIG, FACTORY_TEST_S3, PostgreSQL or
Redis are missing the tests are skipped with the reason.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.integration.conftest import free_port
from tests.integration.postgres import postgres_running

if TYPE_CHECKING:
    from tests.cluster.stack import PodStack

IMAGE = os.environ.get("FACTORY_TEST_IMAGE", "model-factory/ml:latest")
"""The steps' image; the cluster must have it, or be able to pull it."""
S3_ENDPOINT = os.environ.get("FACTORY_TEST_S3")
"""An S3 endpoint that pods reach, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""


@dataclass(frozen=True)
class Cluster:
    """The cluster under test: a client, and a namespace of this session's own."""

    api: Any
    namespace: str
    kubeconfig: str


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return the cluster that KUBECONFIG names, with a namespace that goes with the session."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster")
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    config.load_kube_config(config_file=kubeconfig)
    api = client.CoreV1Api()
    namespace = f"factory-test-{secrets.token_hex(3)}"
    try:
        api.create_namespace({"metadata": {"name": namespace}}, _request_timeout=10)
    except HTTPError as error:
        pytest.skip(f"the cluster of KUBECONFIG does not answer: {error}")
    api.create_namespaced_service_account(namespace, {"metadata": {"name": "factory-step"}})
    try:
        yield Cluster(api, namespace, kubeconfig)
    finally:
        api.delete_namespace(namespace, grace_period_seconds=0)


@pytest.fixture(scope="session")
def host_address(cluster: Cluster) -> str:
    """Return the address of this machine that pods reach: FACTORY_TEST_HOST_ADDRESS, or that towards the cluster."""
    if given := os.environ.get("FACTORY_TEST_HOST_ADDRESS"):
        return given
    server = urlsplit(cluster.api.api_client.configuration.host)
    with socket.create_connection((server.hostname or "", server.port or 443), timeout=10) as probe:
        return str(probe.getsockname()[0])


@pytest.fixture(scope="session")
def database_uri(host_address: str) -> Iterator[str]:
    """Return the SQLAlchemy URI of a PostgreSQL server that pods reach."""
    with postgres_running(free_port(), host_address) as uri:
        yield uri.replace("postgresql://", "postgresql+psycopg2://")


@pytest.fixture(scope="session")
def redis_url(host_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a Redis server that pods reach."""
    if not shutil.which("redis-server"):
        pytest.skip("there is no redis-server")
    port, folder = free_port(), tmp_path_factory.mktemp("redis")
    options = [
        "--bind",
        host_address,
        "--port",
        str(port),
        "--save",
        "",
        "--protected-mode",
        "no",
        "--dir",
        str(folder),
    ]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield f"redis://{host_address}:{port}/0"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """Return a bucket of this session's own in the store that FACTORY_TEST_S3 names; it is emptied and removed."""
    if not S3_ENDPOINT or not os.environ.get("AWS_ACCESS_KEY_ID"):
        pytest.skip("FACTORY_TEST_S3 names no S3 endpoint, or AWS_ACCESS_KEY_ID is missing")
    import boto3

    s3 = boto3.resource("s3", endpoint_url=S3_ENDPOINT)
    made = s3.create_bucket(Bucket=f"factory-test-{secrets.token_hex(4)}")
    try:
        yield made.name
    finally:
        made.objects.all().delete()
        made.delete()


def image_is_there(cluster: Cluster) -> None:
    """Skip where the cluster's nodes do not hold the steps' image and are not told where to pull it from."""
    if os.environ.get("FACTORY_TEST_IMAGE"):
        return
    wanted = {IMAGE, f"docker.io/{IMAGE}"}
    names = {
        name for node in cluster.api.list_node().items for image in node.status.images or [] for name in image.names
    }
    if not wanted & names:
        pytest.skip(f"no node holds the image {IMAGE}: load it, or name one that can be pulled by FACTORY_TEST_IMAGE")


@pytest.fixture(scope="session")
def stack(
    cluster: Cluster,
    host_address: str,
    database_uri: str,
    redis_url: str,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PodStack]:
    """Return an Airflow beside the cluster, not started yet, whose steps run in pods."""
    from tests.cluster.stack import pod_stack

    image_is_there(cluster)
    folder = tmp_path_factory.mktemp("stack")
    with pod_stack(cluster, folder, host_address, database_uri, redis_url, bucket) as made:
        yield made
