"""Custom resources are what their published definitions take (FACTORY_TEST_CRDS; `.github/custom-resources` fetches them)."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from tests.unit.kubernetes.rendered import CUSTOM, KUBERNETES, Manifest, kustomized, name_of
from tests.unit.release.crds import crd_folder, schema

SOURCES = ("overlays/staging", "overlays/production", "argocd")


def custom_resources(source: str) -> list[Manifest]:
    """Return the custom resources of an overlay, or of a folder of files."""
    folder = KUBERNETES / source
    if (folder / "kustomization.yaml").is_file():
        found = list(kustomized(folder))
    else:
        found = [one for file in sorted(folder.glob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]
    return [one for one in found if one["apiVersion"].startswith(CUSTOM)]


def custom_problems(manifest: Manifest) -> list[str]:
    """Return what the published definition has against a custom resource, unknown fields included."""
    group, _, version = manifest["apiVersion"].partition("/")
    found = schema(crd_folder(), f"{manifest['kind'].lower()}s", group, version)
    errors = jsonschema.Draft202012Validator(found).iter_errors(manifest)
    return [f"{name_of(manifest)}: {'.'.join(map(str, error.path))}: {error.message}" for error in errors]


@pytest.mark.parametrize("source", SOURCES)
def test_their_definitions_take_them(source: str):
    custom = custom_resources(source)
    assert len({one["kind"] for one in custom}) >= 2
    assert [problem for one in custom for problem in custom_problems(one)] == []


@pytest.mark.parametrize("source", SOURCES)
def test_an_unknown_field_is_refused(source: str):
    for one in custom_resources(source):
        assert custom_problems({**one, "spec": {**one["spec"], "unknownField": 1}})
