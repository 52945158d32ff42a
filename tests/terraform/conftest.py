"""A local AWS API, and Terraform over a copy of the project's modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.conftest import free_port

TERRAFORM = Path(__file__).resolve().parents[2] / "kubernetes" / "terraform"
REGION = "us-east-1"
OVERRIDE = """
provider "aws" {
  s3_use_path_style       = true
  skip_metadata_api_check = true
}
"""


class Cloud:
    """A local AWS API, and the network of a cluster in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        vpc = self.client("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        zones = {"a": "10.1.1.0/24", "b": "10.1.2.0/24"}
        subnets = [
            self.client("ec2").create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=REGION + zone)
            for zone, block in zones.items()
        ]
        nodes = self.client("ec2").create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)
        issuer = "oidc.eks.example.com/id/EXAMPLE"
        provider = self.client("iam").create_open_id_connect_provider(
            Url=f"https://{issuer}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["a" * 40]
        )
        self.variables = {
            "environment": "test",
            "vpc_id": vpc,
            "subnet_ids": [subnet["Subnet"]["SubnetId"] for subnet in subnets],
            "node_security_group_ids": [nodes["GroupId"]],
            "oidc_provider_arn": provider["OpenIDConnectProviderArn"],
            "oidc_issuer": issuer,
            "protected": False,
        }

    def client(self, service: str) -> Any:
        """Return boto3's client of a service of this API."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)


class Terraform:
    """Terraform in a copy of kubernetes/terraform, against a local AWS API."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        shutil.copytree(TERRAFORM, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        self.folder = folder / "environments" / "example"
        (self.folder / "local_override.tf").write_text(OVERRIDE)
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(cloud.variables))
        (folder / "terraform.rc").write_text("")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS_init": "-no-color",
            "TF_CLI_ARGS_plan": "-no-color",
            "TF_CLI_ARGS_apply": "-no-color",
            "TF_CLI_ARGS_destroy": "-no-color",
            "CHECKPOINT_DISABLE": "1",
            "AWS_ENDPOINT_URL": cloud.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def run(self, command: str, *options: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command of Terraform; fail with what it said where its exit code is another than expected."""
        arguments = ["terraform", command, *options]
        done = subprocess.run(
            arguments, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode in codes, (done.stdout + done.stderr)[-4000:]
        return done


def complete_redis(cloud: Cloud, done: threading.Event) -> None:
    """Make the nodes of each Redis that Terraform makes: moto names them and forgets to make them."""
    cache = cloud.client("elasticache")
    made: set[str] = set()
    while not done.wait(1):
        groups = cache.describe_replication_groups()["ReplicationGroups"]
        for node in {node for group in groups for node in group["MemberClusters"]} - made:
            cache.create_cache_cluster(
                CacheClusterId=node, Engine="redis", CacheNodeType="cache.t4g.small", EngineVersion="7.1"
            )
            made.add(node)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """Return a fresh local AWS API (moto)."""
    port = free_port()
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done = threading.Event()
    try:
        cloud = _when_up(f"http://127.0.0.1:{port}")
        helper = threading.Thread(target=complete_redis, args=(cloud, done))
        helper.start()
        yield cloud
        done.set()
        helper.join()
    finally:
        done.set()
        server.terminate()
        server.wait(10)


def _when_up(url: str) -> Cloud:
    deadline = time.monotonic() + 60
    while True:
        try:
            return Cloud(url)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


@pytest.fixture(scope="session")
def terraform(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Return an initialised environment; its plug-ins come from FACTORY_TEST_TERRAFORM_PLUGINS, or the registry."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    made = Terraform(tmp_path_factory.mktemp("terraform") / "copy", cloud)
    plugins = os.environ.get("FACTORY_TEST_TERRAFORM_PLUGINS")
    made.run("init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []))
    yield made
    redis = ["aws_elasticache_replication_group", "aws_elasticache_subnet_group"]  # which moto never deletes
    made.run("state", "rm", *(f"module.cache.{kind}.this" for kind in redis))
    made.run("destroy", "-auto-approve", "-input=false")
    assert made.run("state", "list").stdout == ""
