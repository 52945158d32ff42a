"""What Argo CD and the charts of others are told: valid, about things that are there, and without a secret."""

from __future__ import annotations

from typing import Any

import yaml

from tests.unit.kubernetes.rendered import (
    KUBERNETES,
    ROOT,
    Manifest,
    by_name,
    kustomized,
)


def delivered() -> dict[str, Manifest]:
    files = sorted((KUBERNETES / "argocd").glob("*.yaml"))
    return by_name([document for file in files for document in yaml.safe_load_all(file.read_text())])


def values(name: str) -> dict[str, Any]:
    return yaml.safe_load((KUBERNETES / "values" / f"{name}.yaml").read_text())


def test_applications_keep_to_their_project_and_to_files_that_are_there():
    found = delivered()
    project = found.pop("AppProject/model-factory")["spec"]
    assert len(found) == 3
    for name, application in found.items():
        spec = application["spec"]
        assert spec["project"] == "model-factory"
        assert spec["destination"] in project["destinations"], name
        for source in spec.get("sources", [spec.get("source")]):
            assert source["repoURL"] in project["sourceRepos"], name
            assert source["targetRevision"], name
            if "path" in source:
                assert (ROOT / source["path"] / "kustomization.yaml").is_file(), name
            for file in source.get("helm", {}).get("valueFiles", []):
                assert (ROOT / file.removeprefix("$factory/")).is_file(), name


def test_secrets_come_before_what_reads_them():
    wave = "argocd.argoproj.io/sync-wave"
    manifests = kustomized(KUBERNETES / "overlays" / "production")
    waves = {one["kind"]: int(one["metadata"].get("annotations", {}).get(wave, 0)) for one in manifests}
    assert waves["SecretStore"] < waves["ExternalSecret"] < waves["Deployment"]


def test_the_project_admits_every_cluster_wide_kind():
    admitted = {one["kind"] for one in delivered()["AppProject/model-factory"]["spec"]["clusterResourceWhitelist"]}
    ours = {
        one["kind"] for one in kustomized(KUBERNETES / "overlays" / "production") if "namespace" not in one["metadata"]
    }
    assert ours == {"Namespace", "PriorityClass"}
    assert ours <= admitted


def test_airflow_runs_with_the_rights_of_the_base_alone():
    airflow, base = values("airflow"), by_name(kustomized(KUBERNETES / "base"))
    assert airflow["rbac"] == {"create": False}
    for part in ("scheduler", "triggerer", "dagProcessor", "apiServer", "workers"):
        account = airflow[part]["serviceAccount"]
        assert account["create"] is False
        assert f"ServiceAccount/{account['name']}" in base
        assert "memory" in airflow[part]["resources"]["limits"]
    assert f"ConfigMap/{airflow['volumes'][0]['configMap']['name']}" in base


def test_airflow_s_secrets_are_named_and_nowhere_written():
    airflow = values("airflow")
    references = [airflow["data"]["metadataSecretName"]]
    references += [airflow[key] for key in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")]
    external = by_name(kustomized(KUBERNETES / "overlays" / "production"))
    assert {f"ExternalSecret/{name}" for name in references} <= set(external)
    assert not {"fernetKey", "apiSecretKey", "jwtSecret", "metadataConnection"} & (set(airflow) | set(airflow["data"]))


def test_airflow_keeps_to_the_restricted_standard_and_the_namespace():
    airflow = values("airflow")
    contexts = airflow["securityContexts"]
    assert contexts["pod"]["runAsNonRoot"]
    assert contexts["pod"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert contexts["containers"]["capabilities"] == {"drop": ["ALL"]}
    namespace = by_name(kustomized(KUBERNETES / "base"))["Namespace/model-factory"]["metadata"]["name"]
    assert airflow["config"]["kubernetes_executor"]["namespace"] == namespace


def test_airflow_is_where_the_platform_looks_for_it():
    url = by_name(kustomized(KUBERNETES / "base"))["ConfigMap/factory-config"]["data"]["FACTORY_AIRFLOW_URL"]
    assert url == f"http://{values('airflow')['fullnameOverride']}-api-server:8080"


def test_the_operator_reads_monitors_and_rules_of_every_namespace():
    prometheus = values("kube-prometheus-stack")["prometheus"]["prometheusSpec"]
    assert prometheus["serviceMonitorSelectorNilUsesHelmValues"] is False
    assert prometheus["ruleSelectorNilUsesHelmValues"] is False
