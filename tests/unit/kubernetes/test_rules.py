"""The alerts that a cluster gets are those that promtool tests."""

from __future__ import annotations

import subprocess
import sys

import yaml

from tests.unit.kubernetes.rendered import KUBERNETES, ROOT, by_name, kustomized


def test_the_prometheus_rule_is_made_from_the_rules(tmp_path):
    written = KUBERNETES / "components" / "monitoring" / "rules.yaml"
    code = f"import sys; sys.path.insert(0, {str(KUBERNETES)!r}); import rules; print(rules.prometheus_rule(), end='')"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert written.read_text() == made, "run `make manifests`"
    alerts = [
        rule["alert"] for group in yaml.safe_load(made)["spec"]["groups"] for rule in group["rules"] if "alert" in rule
    ]
    assert "ModelServerDown" in alerts


def test_the_scrape_gives_the_job_that_the_rules_ask_for():
    monitor = by_name(kustomized(KUBERNETES / "overlays" / "production"))["ServiceMonitor/factory-serving"]
    job = monitor["spec"]["endpoints"][0]["relabelings"][0]["replacement"]
    rules = (ROOT / "monitoring" / "prometheus" / "rules" / "model_server.yml").read_text()
    assert f'up{{job="{job}"}}' in rules
