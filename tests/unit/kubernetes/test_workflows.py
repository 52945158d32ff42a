"""The workflows: valid, pinned, with the least rights, running commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.kubernetes.rendered import KUBERNETES, ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DIGEST = "sha256:" + 64 * "a"


def loaded(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # `on` is a word here, not a boolean


def steps() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.name}: {job}: {step.get('name') or step.get('uses') or step['run']}", step)
        for path in WORKFLOWS
        for job, body in loaded(path)["jobs"].items()
        for step in body["steps"]
    ]


def test_they_are_what_github_takes():
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_to_a_commit():
    uses = [(where, step["uses"]) for where, step in steps() if "uses" in step]
    assert len(uses) > 10
    assert [where for where, action in uses if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action)] == []


def test_an_action_has_one_version_everywhere():
    versions: dict[str, set[str]] = {}
    for _, step in steps():
        if "uses" in step:
            action, _, commit = step["uses"].partition("@")
            versions.setdefault(action, set()).add(commit)
    assert {action: len(commits) for action, commits in versions.items() if len(commits) > 1} == {}


def test_rights_are_least():
    for path in WORKFLOWS:
        workflow = loaded(path)
        assert workflow["permissions"] == {"contents": "read"}, path.name
        for name, job in workflow["jobs"].items():
            if "write" in {job.get("permissions", {}).get(right) for right in ("contents", "packages")}:
                assert "environment" in job, f"{path.name}: {name} writes without an environment that guards it"


def test_nobody_writes_into_a_shell_from_outside():
    outside = re.compile(r"\$\{\{\s*(inputs|github\.event|github\.head_ref|github\.ref_name)")
    assert [where for where, step in steps() if outside.search(step.get("run", ""))] == []


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z%][\w%-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= {f"image-{file.parent.name}" for file in (ROOT / "docker").glob("*/Dockerfile")}  # image-%
    asked = {
        target
        for where, step in steps()
        for target in re.findall(r"^make ([\w-]+(?:\$\{\{[^}]*\}\})?)", step.get("run", ""), re.MULTILINE)
    }
    suites = loaded(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["suite"]
    plain = {target for target in asked if "${{" not in target} | set(suites)
    assert {"manifests", "test-terraform", "test"} <= plain
    assert plain <= targets
    assert {"image-${{ matrix.image }}"} <= asked
    assert "image-%" in targets


def test_every_image_that_has_a_folder_is_built():
    built = set(loaded(ROOT / ".github" / "workflows" / "images.yml")["jobs"]["image"]["strategy"]["matrix"]["image"])
    assert {file.parent.name for file in (ROOT / "docker").glob("*/Dockerfile")} <= built


# Promotion


def promoted(folder: Path, staging: str, *, signed: bool) -> subprocess.CompletedProcess[str]:
    """Run `promote staging production` over overlays of its own, with a cosign that says yes or no."""
    for name, text in (("staging", staging), ("production", "old\n")):
        images = folder / "kubernetes" / "overlays" / name / "images"
        images.mkdir(parents=True)
        (images / "kustomization.yaml").write_text(text)
    script = folder / "kubernetes" / "promote"
    script.write_text((KUBERNETES / "promote").read_text())
    tools = folder / "bin"
    tools.mkdir()
    (tools / "cosign").write_text(f'#!/bin/sh\necho "$@" >>{folder}/asked\nexit {0 if signed else 1}\n')
    (tools / "cosign").chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "SIGNER": "^https://example.com/images.yml"}
    command = ["bash", script, "staging", "production"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def images(serving: str) -> str:
    """Return an images file as `kustomize edit set image` writes it."""
    return (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:\n"
        f"- digest: {DIGEST}\n  name: model-factory/mlflow\n  newName: registry.example.com/model-factory/mlflow\n"
        f"- name: model-factory/serving\n  newName: registry.example.com/model-factory/serving\n  {serving}\n"
    )


def production_of(folder: Path) -> str:
    return (folder / "kubernetes" / "overlays" / "production" / "images" / "kustomization.yaml").read_text()


def test_a_promotion_copies_signed_digests(tmp_path):
    staging = images(f"digest: {DIGEST}")
    done = promoted(tmp_path, staging, signed=True)
    assert done.returncode == 0, done.stderr
    assert production_of(tmp_path) == staging
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 2
    assert asked[1].endswith(f"registry.example.com/model-factory/serving@{DIGEST}")


@pytest.mark.parametrize(
    ("serving", "signed", "says"),
    [
        ("newTag: 1.0.0", True, "names model-factory/serving by a tag"),
        (f"digest: {DIGEST}", False, "is not signed by ^https://example.com/images.yml; nothing was promoted"),
    ],
)
def test_what_is_tagged_or_unsigned_is_not_promoted(tmp_path, serving, signed, says):
    done = promoted(tmp_path, images(serving), signed=signed)
    assert done.returncode == 1
    assert says in done.stderr
    assert production_of(tmp_path) == "old\n"


def test_an_empty_staging_promotes_nothing(tmp_path):
    done = promoted(tmp_path, "kind: Component\n", signed=True)
    assert done.returncode == 1
    assert "names no image" in done.stderr
    assert production_of(tmp_path) == "old\n"
