"""Manifests: what placements compile to, held against golden files, the published schemas and our own checks."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft4Validator

from include.release.cluster.kserve import KServeKind
from include.release.cluster.names import DNS_LABEL, object_name
from include.release.cluster.placement import Placement
from include.release.cluster.seldon import SeldonKind
from include.release.policies import route_at, settled
from include.release.target import TargetError
from include.specs import Platform
from include.specs.platform import ClusterTarget
from include.store.routes import Route, Variant
from tests.unit.release.crds import crd_folder, schema

GOLDEN = Path(__file__).parent / "golden"
FIRST = Placement("churn", "1")
RELEASED = FIRST.released(Route("churn", settled("churn", 1).variants, 1), {})
CANARY = RELEASED.stage(("2",)).released(Route("churn", route_at("churn", 10, 1, 2).variants, 2), {})
SCALED = ClusterTarget(
    min_replicas=2, max_replicas=5, service_account="factory-serving", image="registry.example/serving@sha256:0",
    image_pull_secrets=("pull",), node_selector={"pool": "serving"},
    tolerations=({"key": "serving", "operator": "Exists"},), annotations={"sidecar.istio.io/inject": "true"},
)  # fmt: skip
SERVERLESS = ClusterTarget(kserve_mode="serverless")
CASES = {
    "seldon-first": (SeldonKind, ClusterTarget(), FIRST),
    "seldon-canary": (SeldonKind, SCALED, CANARY),
    "seldon-staged": (SeldonKind, ClusterTarget(), RELEASED.stage(("2",))),
    "kserve-standard-first": (KServeKind, ClusterTarget(), FIRST),
    "kserve-standard-canary": (KServeKind, SCALED, CANARY),
    "kserve-serverless-staged": (KServeKind, SERVERLESS, RELEASED.stage(("2",))),
    "kserve-serverless-canary": (KServeKind, SERVERLESS, CANARY),
}


def compiled(name):
    kind, settings, placement = CASES[name]
    opened = kind(Platform(cluster_target=settings))
    return opened, opened.compile(placement)


@pytest.mark.parametrize("name", CASES)
def test_a_placement_compiles_to_its_golden_file(name):
    assert compiled(name)[1] == yaml.safe_load((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_a_manifest_keeps_the_published_schema_and_our_checks(name):
    kind, manifest = compiled(name)
    assert kind.problems(manifest) == []
    folder, resource = crd_folder(), kind.resource
    validator = Draft4Validator(schema(folder, resource.plural, resource.group, resource.version))
    assert [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(manifest)] == []


def test_the_schema_is_strict():
    folder = crd_folder()
    validator = Draft4Validator(schema(folder, "inferenceservices", "serving.kserve.io", "v1beta1"))
    manifest = compiled("kserve-standard-first")[1]
    manifest["spec"]["predictor"]["containers"][0]["imagePulPolicy"] = "Always"
    assert "imagePulPolicy" in "".join(error.message for error in validator.iter_errors(manifest))


def test_nothing_secret_stands_in_a_manifest():
    platform = Platform(serving_key="s3cret", database_uri="postgresql://u:s3cret@h/d", mlflow_uri="http://m")
    for kind in (SeldonKind(platform), KServeKind(platform)):
        text = yaml.safe_dump(kind.compile(CANARY))
        assert "s3cret" not in text
        assert "factory-secrets" in text


def _broken(name, change):
    kind, manifest = compiled(name)
    broken = copy.deepcopy(manifest)
    change(broken["spec"])
    return kind.problems(broken)


def _predictor(spec):
    return spec["predictors"][0]


SELDON = [
    (lambda spec: _predictor(spec).update(traffic=50), "adds up to 60, not 100"),
    (lambda spec: _predictor(spec).update(name="v2"), "two share a name"),
    (lambda spec: _predictor(spec).update(name="V_1"), "is no DNS label"),
    (lambda spec: _predictor(spec)["graph"].update(name="other"), "no container is called 'other'"),
    (lambda spec: _predictor(spec)["graph"].update(type="MODELL"), "type 'MODELL' is unknown; use one of COMBINER"),
    (lambda spec: _predictor(spec)["graph"].update(type="ROUTER"), "a ROUTER needs children"),
    (lambda spec: _predictor(spec)["graph"].update(implementation="RANDOM"), "implementation 'RANDOM' is unknown"),
    (
        lambda spec: _predictor(spec)["graph"].update(children=[{"name": "below"}]),
        "children[0]: no container is called",
    ),
    (lambda spec: _predictor(spec)["graph"].update(children=[{"name": "model"}]), "two units share a name"),
    (lambda spec: _predictor(spec)["graph"].update(children=[{"name": "x"}]), "needs the orchestrator"),
    (lambda spec: [one.update(shadow=True) for one in spec["predictors"]], "there may be one shadow"),
    (
        lambda spec: _predictor(spec)["componentSpecs"][0]["spec"]["containers"][0].update(ports=[]),
        "readinessProbe: port 8500 is not among",
    ),
]


@pytest.mark.parametrize(("change", "said"), SELDON)
def test_where_seldons_schema_is_silent_we_are_not(change, said):
    assert any(said in problem for problem in _broken("seldon-canary", change))


KSERVE = [
    (lambda spec: spec["canary"][0].update(trafficPercent=101), "add up to 101"),
    (lambda spec: spec["canary"][0]["predictor"].update(name="v1"), "needs a name of its own"),
    (lambda spec: spec["canary"][0]["predictor"].pop("name"), "needs a name of its own"),
    (lambda spec: spec["canary"][0]["predictor"].update(maxReplicas=3), "maxReplicas: is refused below spec.canary"),
    (lambda spec: spec["predictor"].update(canaryTrafficPercent=3), "is of the serverless mode"),
    (lambda spec: spec["predictor"]["containers"][0].update(name="model"), "no container is called 'kserve-container'"),
    (lambda spec: spec["canary"][0]["predictor"].update(name="v" * 60), "is no DNS label"),
]


@pytest.mark.parametrize(("change", "said"), KSERVE)
def test_where_kserves_schema_is_silent_we_are_not(change, said):
    assert any(said in problem for problem in _broken("kserve-standard-canary", change))


def test_the_serverless_mode_says_when_a_third_version_would_run():
    with pytest.raises(TargetError, match=r"runs two versions of a model at a time, and 'churn' would have 3"):
        KServeKind(Platform(cluster_target=SERVERLESS)).compile(CANARY.stage(("3",)))


@pytest.mark.parametrize("placement", [case[2] for case in CASES.values()])
def test_the_object_remembers_its_placement(placement):
    manifest = SeldonKind(Platform()).compile(placement)
    assert Placement.read(manifest, "x") == placement


def test_one_version_in_two_roles_gets_both_shares():
    route = Route("churn", (Variant("champion", "1", 90), Variant("again", "1", 10)))
    assert RELEASED.released(route, {}).shares() == {"1": 100}


@pytest.mark.parametrize("model", ["churn", "a_b", "a_", "a" * 63, "x_" * 20])
def test_every_model_has_a_name_on_the_cluster(model):
    name = object_name(model)
    assert DNS_LABEL.fullmatch(name)
    assert len(f"{name}-v123456-0-model") <= 63
    assert len(f"{name}-v123456-predictor") <= 63


def test_no_two_models_share_a_name_there():
    models = ["a_", "a__", "a", "a_b", "a" * 62, "a" * 63, "a" * 40, "a" * 41]
    assert len({object_name(model) for model in models}) == len(models)


def test_fewer_replicas_at_most_than_at_least_are_refused():
    with pytest.raises(ValueError, match="'max_replicas' \\(1\\) is below 'min_replicas' \\(2\\)"):
        ClusterTarget(min_replicas=2)
