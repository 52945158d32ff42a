"""Two Ray nodes on this machine, and small prepared data; `make test-engines` runs what is in this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

from include.automl.search import Plan
from include.evaluation.metrics import metric
from include.features.preparation import prepare_rows
from include.specs import parse_spec

SPEC = """
name: small
owner: tests
data: {source: {path: x.csv}}
problem: {type: binary, target: malignant, positive: true}
search: {folds: 3, max_trials: 6, parallel: 2}
"""


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[object]:
    """Return a Ray cluster of two nodes with a core each; skip where Ray is not installed."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is in requirements-engines.txt")
    import ray

    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.iloc[:, :5].assign(malignant=bunch.target == 0)
    prepare_rows(frame, parse_spec(SPEC, "x"), False).prepared.save(folder)
    return folder


@pytest.fixture
def planned(rows: Path, tmp_path: Path) -> Callable[..., Plan]:
    def make(name: str = "study", search: dict[str, object] | None = None, **changes: object) -> Plan:
        spec = parse_spec(SPEC, "x")
        spec = spec.model_copy(update={"search": spec.search.model_copy(update=search or {})})
        base = {"budget": 120.0, "storage": str(tmp_path / f"{name}.log"), "scratch": tmp_path / name, "name": name}
        return Plan(data=rows, spec=spec, **{"objective": metric("roc_auc"), **base, **changes})

    return make
