"""The compose file as it is shipped: valid, contained, and nothing in it that belongs into ``.env``."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from include.specs import ROOT

FOLDER = ROOT / "docker"
COMPOSE = FOLDER / "docker-compose.yml"
ONE_SHOT = {"prepare", "airflow-migrate", "life"}
TEXT = COMPOSE.read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]


def template_names() -> set[str]:
    """Return what `.env.template` explains."""
    text = (ROOT / ".env.template").read_text(encoding="utf-8")
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_contained_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["networks"] == ["factory"]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} <= set(limits)
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] != "unless-stopped"
    else:
        assert service["healthcheck"]["test"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), "published on loopback only"
    assert not service.get("privileged")


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_waits_for_is_there_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == ("service_completed_successfully" if other in ONE_SHOT else "service_healthy")
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_of_others_have_a_fixed_version(name: str) -> None:
    image = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", SERVICES[name]["image"])
    if image.startswith("model-factory/"):
        assert (FOLDER / image.removeprefix("model-factory/").split(":")[0] / "Dockerfile").is_file()
    else:
        assert re.search(r":[^:/]*\d+\.\d+|:RELEASE\.\d{4}", image), image


def test_every_variable_is_explained_and_no_secret_has_a_default() -> None:
    used = dict(re.findall(r"(?<!\$)\$\{(\w+)(?::([-?][^}]*))?\}", TEXT))
    assert set(used) <= template_names()
    secret = [name for name in used if re.search(r"PASSWORD|SECRET|KEY$", name)]
    assert len(secret) >= 12
    assert not [name for name in secret if used[name].startswith("-")]
    assert not re.search(r"(?i)(password|secret|key)\w*: *[\"']?[a-z0-9]{8,}[\"']?$", TEXT, flags=re.MULTILINE)


def test_the_override_replaces_what_its_head_says_and_nothing_else() -> None:
    class Loader(yaml.SafeLoader):
        """Reads Compose's `!override` as the value behind it."""

    Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))
    override = yaml.load((FOLDER / "docker-compose.local-images.yml").read_text(encoding="utf-8"), Loader)
    assert set(override["services"]) == {"postgres", "redis", "prometheus", "alertmanager", "minio", "grafana"}
    stages = (ROOT / "tests/cluster/images/Dockerfile").read_text(encoding="utf-8")
    for service in override["services"].values():
        if "build" in service:
            assert f"AS {service['build']['target']}\n" in stages


def test_what_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).exists(), volume
                assert volume.endswith(":ro"), volume
