"""The chart makes the same objects as kustomize's base, changes what its values say, and refuses values that it does not know."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.unit.kubernetes.rendered import KUBERNETES, Manifest, by_name, canonical, kustomized, pod_specs, problems_of

CHART = KUBERNETES / "helm" / "model-factory"
DIGEST = "sha256:" + 64 * "b"


def helm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run helm; skip where there is none."""
    if shutil.which("helm") is None:
        pytest.skip("helm is not installed")
    return subprocess.run(["helm", *map(str, arguments)], capture_output=True, text=True, check=False)


def templated(values: dict[str, Any] | None = None, tmp_path: Any = None) -> dict[str, Manifest]:
    """Return what the chart makes of values, by ``kind/name``."""
    options: list[object] = []
    if values is not None:
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        options = ["--values", tmp_path / "values.yaml"]
    done = helm("template", "factory", CHART, "--namespace", "model-factory", *options)
    assert done.returncode == 0, done.stderr
    return by_name([document for document in yaml.safe_load_all(done.stdout) if document])


def plain(manifest: Manifest) -> Manifest:
    """Return a manifest without what only Helm or only kustomize writes into its metadata."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "namespace"}
    metadata["labels"] = {
        key: value
        for key, value in metadata.get("labels", {}).items()
        if key not in ("helm.sh/chart", "app.kubernetes.io/managed-by")
    }
    return {**manifest, "metadata": metadata}


def test_lint_finds_nothing():
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_makes_what_kustomize_makes():
    ours, theirs = templated(), by_name(kustomized(KUBERNETES / "base"))
    del theirs["Namespace/model-factory"]  # Helm's user makes it
    assert set(ours) == set(theirs)
    for name, manifest in theirs.items():
        assert canonical(plain(ours[name])) == canonical(plain(manifest)), name


def test_monitoring_is_what_the_component_holds(tmp_path):
    ours = templated({"monitoring": True}, tmp_path)
    theirs = by_name(kustomized(KUBERNETES / "overlays" / "production"))
    for name in ("ServiceMonitor/factory-serving", "PrometheusRule/factory"):
        assert ours[name]["spec"] == theirs[name]["spec"]


def test_values_change_what_they_name(tmp_path):
    values = {
        "image": {"registry": "registry.example.com", "digests": {"serving": DIGEST}, "pullSecrets": ["pull"]},
        "config": {"FACTORY_ARTIFACTS_URI": "s3://other/artifacts"},
        "serving": {
            "replicas": 4,
            "resources": {"limits": {"nvidia.com/gpu": 1}},
            "nodeSelector": {"gpu": "yes"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "autoscaling": {"minReplicas": 4, "maxReplicas": 5},
        },
        "ingress": {"hosts": {"serving": "p.example.org"}, "tls": True, "annotations": {"a": "b"}},
        "serviceAccounts": {"factory-step": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/step"}},
        "quota": {"pods": "7"},
    }
    made = templated(values, tmp_path)
    server = made["Deployment/factory-serving"]["spec"]
    pod = server["template"]["spec"]
    assert server["replicas"] == 4
    assert pod["containers"][0]["image"] == f"registry.example.com/model-factory/serving@{DIGEST}"
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "2Gi", "nvidia.com/gpu": 1}
    assert pod["nodeSelector"] == {"gpu": "yes"}
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    mlflow = made["Deployment/factory-mlflow"]["spec"]["template"]["spec"]
    assert mlflow["containers"][0]["image"] == "registry.example.com/model-factory/mlflow:latest"
    assert made["ConfigMap/factory-config"]["data"]["FACTORY_ARTIFACTS_URI"] == "s3://other/artifacts"
    assert made["ConfigMap/factory-config"]["data"]["FACTORY_RUNTIME"] == "kubernetes"
    ingress = made["Ingress/factory-serving"]
    assert ingress["spec"]["tls"] == [{"hosts": ["p.example.org"], "secretName": "factory-serving-tls"}]
    assert ingress["metadata"]["annotations"] == {"a": "b"}
    assert made["ServiceAccount/factory-step"]["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert made["ResourceQuota/factory"]["spec"]["hard"]["pods"] == "7"
    assert [problem for manifest in made.values() for problem in problems_of(manifest)] == []


def test_parts_can_be_left_out(tmp_path):
    off = {
        "feast": {"enabled": False},
        "serving": {"autoscaling": {"enabled": False}},
        "disruptionBudgets": False,
        "networkPolicies": False,
        "priorityClasses": False,
        "ingress": {"enabled": False},
    }
    kinds = {name.partition("/")[0] for name in templated(off, tmp_path)}
    left_out = {"HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "PriorityClass", "Ingress"}
    assert not kinds & left_out
    assert "factory-feast" not in {name.partition("/")[2] for name in templated(off, tmp_path)}


@pytest.mark.parametrize(
    "values",
    [
        {"servng": {"replicas": 1}},
        {"serving": {"replicas": 0}},
        {"image": {"digests": {"serving": "latest"}}},
        {"config": {"FACTORY_SERVING__WORKERS": 2}},
    ],
)
def test_wrong_values_are_refused(tmp_path, values):
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = helm("template", "factory", CHART, "--values", tmp_path / "values.yaml")
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_a_package_holds_the_objects(tmp_path):
    done = helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tgz")
    shown = helm("template", "factory", archive, "--namespace", "model-factory")
    made = by_name([document for document in yaml.safe_load_all(shown.stdout) if document])
    assert len(pod_specs(list(made.values()))) == 3
    assert made.keys() == templated().keys()
