"""The example environment of kubernetes/terraform, planned, applied and destroyed; what it made is then asked."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.terraform.conftest import TERRAFORM, Cloud, Terraform

FORGOTTEN = {
    "module.cache.aws_elasticache_replication_group.this",
    "module.database.aws_db_instance.this",
    "module.database.aws_db_parameter_group.this",
}
"""Of these moto does not keep all that it is told, so that Terraform would tell it again."""


def listed(value: str | list[str]) -> list[str]:
    """Return one or several values of a policy as a list."""
    return [value] if isinstance(value, str) else value


def shown(terraform: Terraform, plan: str) -> dict[str, Any]:
    """Return a saved plan."""
    return json.loads(terraform.run("show", "-json", plan).stdout)


@pytest.fixture(scope="module")
def outputs(terraform: Terraform) -> dict[str, Any]:
    """Apply what was planned, and return the outputs."""
    planned = terraform.run("plan", "-input=false", "-out=plan", "-detailed-exitcode", codes=(2,)).stdout
    assert "0 to change, 0 to destroy" in planned
    terraform.run("apply", "-input=false", "plan")
    return {name: one["value"] for name, one in json.loads(terraform.run("output", "-json").stdout).items()}


def test_it_is_formatted_and_valid(terraform: Terraform):
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", TERRAFORM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `terraform fmt -recursive kubernetes/terraform`: {done.stdout}"
    assert json.loads(terraform.run("validate", "-json").stdout)["diagnostics"] == []


def test_a_second_plan_changes_nothing(terraform: Terraform, outputs):
    terraform.run("plan", "-input=false", "-out=again")
    changed = {
        one["address"]
        for one in shown(terraform, "again")["resource_changes"]
        if not set(one["change"]["actions"]) <= {"no-op", "read"}
    }
    assert changed <= FORGOTTEN


def test_the_bucket_is_versioned_encrypted_and_private(cloud: Cloud, outputs):
    s3, name = cloud.client("s3"), outputs["artifacts_uri"].split("/")[2]
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert rules["runs"]["Filter"]["Prefix"] == "artifacts/runs/"
    assert rules["superseded"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 30
    statement = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"][0]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"


def test_the_database_is_encrypted_private_and_backed_up(cloud: Cloud, outputs):
    database = cloud.client("rds").describe_db_instances()["DBInstances"][0]
    assert database["StorageEncrypted"]
    assert not database["PubliclyAccessible"]
    assert database["MultiAZ"]
    assert database["BackupRetentionPeriod"] >= 7
    assert outputs["database_address"].endswith(":5432")


@pytest.mark.parametrize("port", [5432, 6379])
def test_only_the_nodes_reach_the_stores(cloud: Cloud, outputs, port):
    groups = cloud.client("ec2").describe_security_groups()["SecurityGroups"]
    opened = [rule for group in groups for rule in group["IpPermissions"] if rule.get("FromPort") == port]
    assert len(opened) == 1
    assert [pair["GroupId"] for pair in opened[0]["UserIdGroupPairs"]] == cloud.variables["node_security_group_ids"]
    assert opened[0]["IpRanges"] == []


def test_redis_is_asked_to_speak_tls_and_to_fail_over(terraform: Terraform, outputs):
    (group,) = [
        one["change"]["after"]
        for one in shown(terraform, "plan")["resource_changes"]
        if one["type"] == "aws_elasticache_replication_group"
    ]
    assert group["transit_encryption_enabled"]
    assert group["at_rest_encryption_enabled"]
    assert group["automatic_failover_enabled"]
    assert group["num_cache_clusters"] == 2
    assert outputs["redis_address"]


def test_a_role_is_one_service_account_s_and_reads_what_is_its_own(cloud: Cloud, outputs):
    iam = cloud.client("iam")
    for account, arn in outputs["role_arns"].items():
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]
        assert condition[f"{cloud.variables['oidc_issuer']}:sub"] == f"system:serviceaccount:model-factory:{account}"
        (policy,) = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            actions, resources = listed(statement["Action"]), listed(statement["Resource"])
            assert not [action for action in actions if "*" in action], account
            assert "*" not in resources, account
            assert account == "factory-external-secrets" or not any(one.endswith("-test/*") for one in resources), (
                account
            )


def test_secrets_are_made_empty(cloud: Cloud, terraform: Terraform, outputs):
    names = {secret["Name"] for secret in cloud.client("secretsmanager").list_secrets()["SecretList"]}
    assert {"model-factory/factory-secrets", "model-factory/factory-mlflow", "model-factory/factory-airflow"} <= names
    assert "secret_string" not in (terraform.folder / "terraform.tfstate").read_text()


def test_too_few_subnets_are_refused_with_a_reason(terraform: Terraform, cloud: Cloud):
    one = json.dumps(cloud.variables["subnet_ids"][:1])
    done = terraform.run("plan", "-input=false", f"-var=subnet_ids={one}", codes=(1,))
    assert "Name private subnets in two zones" in done.stdout + done.stderr
