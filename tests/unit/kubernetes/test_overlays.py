"""Every overlay renders, is what the newest Kubernetes API takes, and keeps the promises of docs/kubernetes.md."""

from __future__ import annotations

import pytest
import yaml

from include.specs import Platform
from tests.unit.kubernetes.rendered import (
    CUSTOM,
    KUBERNETES,
    OVERLAYS,
    ROOT,
    Manifest,
    by_name,
    kustomized,
    name_of,
    pod_specs,
    problems_of,
)


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    return kustomized(KUBERNETES / "overlays" / request.param)


@pytest.fixture(scope="module")
def production() -> dict[str, Manifest]:
    return by_name(kustomized(KUBERNETES / "overlays" / "production"))


def test_the_newest_api_takes_every_manifest(overlay):
    own = [manifest for manifest in overlay if not manifest["apiVersion"].startswith(CUSTOM)]
    assert len(own) > 25
    assert [problem for manifest in own for problem in problems_of(manifest)] == []


def test_a_manifest_with_a_misspelt_field_is_refused(overlay):
    server = by_name(overlay)["Deployment/factory-serving"]
    pod = server["spec"]["template"]["spec"]
    pod["servceAccountName"] = "factory-serving"
    try:
        assert "servceAccountName" in problems_of(server)[0]
    finally:
        del pod["servceAccountName"]


def test_every_pod_is_what_the_restricted_standard_allows(overlay):
    for name, pod in pod_specs(overlay).items():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert all(set(volume) & {"emptyDir", "configMap", "secret"} for volume in pod.get("volumes", [])), name
        assert pod["automountServiceAccountToken"] is False, f"{name} has no business with the Kubernetes API"
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_says_what_it_needs_and_when_it_is_ready(overlay):
    for name, pod in pod_specs(overlay).items():
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name
            assert "readinessProbe" in container, name


def test_no_manifest_holds_a_secret(overlay):
    assert not [name_of(one) for one in overlay if one["kind"] == "Secret"]
    for name, pod in pod_specs(overlay).items():
        for variable in (one for container in pod["containers"] for one in container.get("env", [])):
            if any(word in variable["name"] for word in ("PASSWORD", "KEY", "URI", "TOKEN", "SECRET")):
                assert "secretKeyRef" in variable["valueFrom"], f"{name}: {variable['name']}"


def test_what_a_pod_refers_to_is_there(overlay):
    known = set(by_name(overlay))
    for name, pod in pod_specs(overlay).items():
        account = pod.get("serviceAccountName")
        assert account is None or f"ServiceAccount/{account}" in known, name
        for container in pod["containers"]:
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    assert f"ConfigMap/{source['configMapRef']['name']}" in known, name
        mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod.get("volumes", [])}, name


def test_services_and_policies_meet_the_pods_that_they_name(overlay):
    templates = {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in overlay
        if one["kind"] in ("Deployment", "StatefulSet")
    }
    for service in (one for one in overlay if one["kind"] == "Service"):
        template = templates[service["metadata"]["name"]]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        ports = {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for kind in ("PodDisruptionBudget",):
        for budget in (one for one in overlay if one["kind"] == kind):
            wanted = budget["spec"]["selector"]["matchLabels"].items()
            assert wanted <= templates[budget["metadata"]["name"]]["metadata"]["labels"].items()


def test_the_settings_are_settings_of_the_platform(overlay, monkeypatch: pytest.MonkeyPatch):
    data = by_name(overlay)["ConfigMap/factory-config"]["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
        if name.startswith("FACTORY_"):
            _assert_known(name)
    platform = Platform()
    assert platform.runtime == "kubernetes"
    accounts = {one["metadata"]["name"] for one in overlay if one["kind"] == "ServiceAccount"}
    assert platform.kubernetes.service_account in accounts
    services = {one["metadata"]["name"] for one in overlay if one["kind"] == "Service"}
    for url in (platform.mlflow_uri, platform.serving_url):
        assert url.removeprefix("http://").partition(":")[0] in services


def _assert_known(variable: str) -> None:
    """Hold FACTORY_A__B against the fields of the settings: pydantic passes over one that it does not know."""
    fields = Platform.model_fields
    for part in variable.removeprefix("FACTORY_").lower().split("__"):
        assert part in fields, f"{variable}: no such setting"
        fields = getattr(fields[part].annotation, "model_fields", {})


def test_every_model_spec_goes_to_the_cluster(overlay):
    written = {file.name: file.read_text() for file in (ROOT / "config" / "models").glob("*.yaml")}
    assert by_name(overlay)["ConfigMap/factory-models"]["data"] == written


def test_rights_are_no_wider_than_written_down(overlay):
    roles = {one["metadata"]["name"]: one for one in overlay if one["kind"] == "Role"}
    bound = {one["roleRef"]["name"]: one["subjects"] for one in overlay if one["kind"] == "RoleBinding"}
    assert not [one for one in overlay if one["kind"] in ("ClusterRole", "ClusterRoleBinding")]
    assert set(roles) == set(bound) == {"factory-airflow", "factory-release"}
    for name, role in roles.items():
        assert [subject["name"] for subject in bound[name]] == [name]
        for rule in role["rules"]:
            everything = rule["apiGroups"] + rule["resources"] + rule["verbs"]
            assert "*" not in everything
            assert not {"secrets", "configmaps", "roles", "rolebindings", "pods/exec"} & set(rule["resources"])


def test_rights_follow_the_namespace(tmp_path):
    up = "../" * len(tmp_path.resolve().relative_to("/").parts)
    base = up + str((KUBERNETES / "base").relative_to("/"))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": "elsewhere", "resources": [base]}))
    bindings = [one for one in kustomized(tmp_path) if one["kind"] == "RoleBinding"]
    assert {subject["namespace"] for one in bindings for subject in one["subjects"]} == {"elsewhere"}


def test_production_survives_the_loss_of_a_node(production):
    for name in ("factory-serving", "factory-mlflow", "factory-feast"):
        deployment = production[f"Deployment/{name}"]["spec"]
        assert deployment["replicas"] >= 2
        assert deployment["template"]["spec"]["affinity"]["podAntiAffinity"]
        assert production[f"PodDisruptionBudget/{name}"]["spec"]["maxUnavailable"] == 1
    scaler = production["HorizontalPodAutoscaler/factory-serving"]["spec"]
    assert scaler["minReplicas"] == production["Deployment/factory-serving"]["spec"]["replicas"]


def test_production_is_reached_over_tls_alone(production):
    for name in ("factory-serving", "factory-mlflow"):
        ingress = production[f"Ingress/{name}"]
        assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"] for rule in ingress["spec"]["rules"]]
        assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"]


@pytest.mark.parametrize("name", OVERLAYS[1:])
def test_what_is_promoted_is_never_latest(name):
    for where, pod in pod_specs(kustomized(KUBERNETES / "overlays" / name)).items():
        for container in pod["containers"]:
            assert not container["image"].endswith(":latest"), where


def test_operating_paths_and_metrics_stay_inside(production):
    rules = production["Ingress/factory-serving"]["spec"]["rules"]
    paths = {path["path"] for rule in rules for path in rule["http"]["paths"]}
    assert not paths & {"/", "/metrics", "/v1", "/v1/routes"}


def test_the_network_is_closed_before_it_is_opened(overlay):
    deny = by_name(overlay)["NetworkPolicy/factory-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_gpu_nodes_are_one_component_away(tmp_path):
    paths = {"resources": [KUBERNETES / "base"], "components": [KUBERNETES / "components" / "gpu"]}
    relative = {kind: [str(path.relative_to("/")) for path in those] for kind, those in paths.items()}
    up = "../" * len(tmp_path.resolve().relative_to("/").parts)
    document = {kind: [up + path for path in those] for kind, those in relative.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(document))
    pod = by_name(kustomized(tmp_path))["Deployment/factory-serving"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert pod["nodeSelector"]
