"""Prometheus rules and the dashboard: valid, tested, and about metrics that the model server really has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from include.serving.observability.metrics import REGISTRY

FOLDER = Path(__file__).resolve().parents[3] / "monitoring"
RULES = FOLDER / "prometheus" / "rules"
DASHBOARD = FOLDER / "grafana" / "dashboards" / "serving.json"

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def run(*arguments: object) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict]:
    groups = [group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@promtool
def test_the_configuration_and_its_rules_are_valid():
    run("check", "config", FOLDER / "prometheus" / "prometheus.yml")


@promtool
def test_the_rules_alert_when_they_should_and_only_then():
    tests = sorted((FOLDER / "prometheus" / "tests").glob("*.yml"))
    assert len(tests) == len(list(RULES.glob("*.yml")))
    run("test", "rules", *tests)


@promtool
def test_the_queries_of_the_dashboard_are_valid(tmp_path: Path):
    queries = [query.replace("$__rate_interval", "5m") for query in dashboard_queries()]
    recorded = [{"record": f"panel:{i}", "expr": query} for i, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    run("check", "rules", tmp_path / "rules.yml")


def test_every_metric_that_is_asked_for_exists():
    exposed = {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}
    exposed |= {f"{name}_{part}" for name in set(exposed) for part in ("bucket", "sum", "count")}
    asked = set(re.findall(r"\bfactory_\w+", " ".join([rule["expr"] for rule in rules()] + dashboard_queries())))
    assert asked
    assert asked <= exposed


def test_every_alert_says_what_to_do():
    for rule in rules():
        if "alert" in rule:
            assert {"summary", "action"} <= set(rule["annotations"])
            assert rule["labels"]["severity"] in ("critical", "warning")


def test_alertmanager_routes_to_receivers_that_exist():
    document = yaml.safe_load((FOLDER / "alertmanager" / "alertmanager.yml").read_text())
    named = {receiver["name"] for receiver in document["receivers"]}
    routes = [document["route"], *document["route"]["routes"]]
    assert {route["receiver"] for route in routes} <= named
