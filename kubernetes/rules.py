"""Write the alert rules of monitoring/prometheus as a PrometheusRule: ``python kubernetes/rules.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "monitoring" / "prometheus" / "rules"
WRITTEN = ROOT / "kubernetes" / "components" / "monitoring" / "rules.yaml"
HEAD = "# Made from monitoring/prometheus/rules by `make manifests`: change it there.\n"


def prometheus_rule() -> str:
    """Return every rule file as one PrometheusRule of the Prometheus operator, as YAML."""
    files = sorted(RULES.glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    rule: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "factory"},
        "spec": {"groups": groups},
    }
    return HEAD + yaml.safe_dump(rule, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    WRITTEN.write_text(prometheus_rule(), encoding="utf-8")
