"""kubectl against the cluster that KUBECONFIG names, and manifests in the versions that its API serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]
OLDER = {
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "autoscaling/v2beta2",
    ("policy/v1", "PodDisruptionBudget"): "policy/v1beta1",
    ("batch/v1", "CronJob"): "batch/v1beta1",
}
"""Kinds that Kubernetes before 1.21 and 1.23 serves in an older version of the same shape."""


class Kubectl:
    """kubectl with the credentials of KUBECONFIG."""

    def __init__(self) -> None:
        if not os.environ.get("KUBECONFIG"):
            pytest.skip("KUBECONFIG names no cluster")
        if shutil.which("kubectl") is None:
            pytest.skip("kubectl is not installed")
        if self.tried("get", "--raw", "/readyz").returncode:
            pytest.skip("the cluster of KUBECONFIG does not answer")
        self.served = set(self("api-versions").split())
        self.kinds = {line.split()[-1] for line in self("api-resources", "--no-headers").splitlines()}

    def tried(self, *arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""
        command = ["kubectl", "--request-timeout=60s", *map(str, arguments)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: object, stdin: str | None = None) -> str:
        """Run kubectl and return what it prints; fail with what it says."""
        done = self.tried(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, arguments[:4]))}: {done.stderr[-3000:]}"
        return done.stdout

    def json(self, *arguments: object) -> Any:
        """Run kubectl and return the JSON that it prints."""
        return json.loads(self(*arguments, "--output=json"))

    def secret(self, namespace: str, name: str, values: dict[str, str]) -> None:
        """Make a Secret; its values pass through standard input, where no other process reads them."""
        made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
        self("apply", "--filename=-", stdin=json.dumps({**made, "stringData": values}))

    def may(self, account: str, namespace: str, verb: str, resource: str, of: str) -> bool:
        """Return whether a service account of ``of`` may do something in ``namespace``.

        The API server is asked itself: `kubectl auth can-i` says no of every kind that the cluster does not know yet.
        """
        kind, _, part = resource.partition("/")
        name, _, group = kind.partition(".")
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": name, "subresource": part}
        who = {
            "user": f"system:serviceaccount:{of}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{of}", "system:authenticated"],
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {**who, "resourceAttributes": asked},
        }
        answer = json.loads(self("create", "--filename=-", "--output=json", stdin=json.dumps(review)))
        return bool(answer["status"]["allowed"])

    def fitting(self, manifests: list[Manifest]) -> tuple[list[Manifest], list[str]]:
        """Return the manifests in versions that the cluster serves, and what was left out because it serves none."""
        fit, left_out = [], []
        for manifest in manifests:
            version, kind = manifest["apiVersion"], manifest["kind"]
            if version not in self.served:
                version = OLDER.get((version, kind), version)
            if version in self.served and kind in self.kinds:
                fit.append({**manifest, "apiVersion": version})
            else:
                left_out.append(f"{kind} ({manifest['apiVersion']})")
        return fit, sorted(set(left_out))

    def dry_run(self, manifests: list[Manifest]) -> list[str]:
        """Let the API server judge manifests, and return the lines that say what became of each.

        One that is kept under another version already would be refused for its name: it is applied server-side.
        """
        text = yaml.safe_dump_all(manifests)
        return self("apply", "--dry-run=server", "--server-side", "--filename=-", stdin=text).splitlines()


def in_namespace(overlay: Path, folder: Path, namespace: str, **more: Any) -> list[Manifest]:
    """Return an overlay rendered for another namespace, with more of a kustomization on top."""
    up = "../" * len(folder.resolve().relative_to("/").parts)
    document = {"namespace": namespace, "resources": [up + str(overlay.relative_to("/"))], **more}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
