"""Grafana's provisioned files: each panel asks for metrics that the model server has, of the data source that is provisioned."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from include.serving.observability import metrics
from include.specs import ROOT

GRAFANA = ROOT / "monitoring" / "grafana"
DASHBOARDS = sorted(GRAFANA.glob("dashboards/*.json"))


def exported() -> set[str]:
    """Return the names of the time series that the model server's metrics become."""
    names = {
        name
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for name in _series(metric.describe())
    }
    assert "factory_predictions_total" in names
    return names


def _series(families: list) -> list[str]:  # type: ignore[type-arg]
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return [family.name + end for family in families for end in ends.get(family.type, [""])]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_panel_asks_for_metrics_that_exist(file) -> None:  # type: ignore[no-untyped-def]
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    sources = {source["uid"] for source in provisioned["datasources"]}
    known = exported()
    assert dashboard["panels"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] in sources
        for target in panel["targets"]:
            asked = set(re.findall(r"\bfactory_\w+", target["expr"]))
            assert asked and asked <= known, (panel["title"], asked - known)


def test_dashboards_have_addresses_of_their_own() -> None:
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in DASHBOARDS]
    assert len({document["uid"] for document in documents}) == len(documents) >= 2
