"""Adopt a model that was trained elsewhere: an operator's command, never an endpoint; ``make adopt``.

``python -m include.steps.adopt MODEL --from FILE|FOLDER|MLFLOW_URI --manifest FILE [--rows FILE] [--tolerance 1e-4]``

It leaves what a training run leaves, a run folder and a challenger, so that release, experiment, monitoring and
rollback treat the version like any other.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.registry.adoption.card import adopted_card
from include.registry.adoption.document import Adoption, read_document
from include.registry.adoption.package import Adopted, adopt_package, read_rows
from include.registry.cache import package_digest
from include.registry.lineage import code_version, environment_digest, spec_digest
from include.registry.models import Registry, Version
from include.registry.server import MlflowServer
from include.registry.tracking import Tracking
from include.specs import FactoryError, ModelSpec, Platform, SpecError, load_platform, load_spec
from include.store.artifacts import ArtifactStore
from include.store.runs import Result, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from include.features.prepared import Prepared

PIPELINE, CARD = "adoption", "model_card.md"
NAME = r"[a-z][a-z0-9_]{0,62}"
URI = ("models:/", "runs:/", "mlflow-artifacts:/")


@dataclass(frozen=True)
class Described:
    """What tracking needs of a model without a spec."""

    name: str
    owner: str
    description: str


def adopt(
    platform: Platform, model: str, origin: str, document: Adoption, rows: Path | None = None, tolerance: float = 1e-4
) -> tuple[Version, Adopted]:
    """Package, try and register the model in ``origin`` as the challenger of ``model``.

    The same files with the same document are registered once.

    Args:
        platform: the platform.
        model: name of the model; a spec of that name makes it subject to the pipelines.
        origin: a file, a folder, or a URI of MLflow.
        document: what the operator says of it.
        rows: CSV file of real rows: columns ``expected`` or ``expected_<class>`` hold answers to compare with, the
            target's column labels to measure with.
        tolerance: largest difference from an expected answer.

    Raises:
        FactoryError: it cannot be adopted; the message says why and what to do.
    """
    if not re.fullmatch(NAME, model):
        raise FactoryError(f"'{model}' cannot name a model; use lower-case letters, digits and underscores")
    spec = _spec(model)
    _agrees(spec, document)
    with tempfile.TemporaryDirectory(prefix="factory-adopt-") as scratch:
        work = Path(scratch)
        source = _fetched(platform, origin, work / "source")
        table = read_rows(rows) if rows else None
        run = f"{PIPELINE}.{_digest(source, document)}"
        package = work / "search" / "package"
        adopted = adopt_package(source, document, package, model, run, table, tolerance)
        prepared, metrics = (None, {}) if table is None else _measured(adopted, package, table)
        described = spec or Described(model, document.owner or "unknown", document.description)
        version = _register(platform, described, adopted, package, origin, spec, metrics)
        _leave_run(platform, adopted, work, prepared, metrics)
    return version, adopted


def _spec(model: str) -> ModelSpec | None:
    """Return the spec of ``model``, or None when there is none."""
    try:
        return load_spec(model)
    except SpecError as error:
        if any("there is no model" in problem.message for problem in error.problems):
            return None
        raise


def _agrees(spec: ModelSpec | None, document: Adoption) -> None:
    if spec is not None and (spec.problem.type, spec.problem.target) != (document.task, document.target):
        raise FactoryError(
            f"config/models/{spec.name}.yaml predicts '{spec.problem.target}' ({spec.problem.type}), the manifest "
            f"'{document.target}' ({document.task}); let them agree, or choose another name"
        )


def _fetched(platform: Platform, origin: str, target: Path) -> Path:
    """Return the local path of ``origin``; an MLflow model is downloaded below ``target``."""
    if not origin.startswith(URI):
        return Path(origin)

    def download(_: Any) -> str:
        import mlflow.artifacts

        target.mkdir(parents=True, exist_ok=True)
        path: str = mlflow.artifacts.download_artifacts(
            artifact_uri=origin, dst_path=str(target), tracking_uri=server.uri, registry_uri=server.uri
        )
        return path

    server = MlflowServer(platform)
    return Path(server.ask(download))


def _digest(source: Path, document: Adoption) -> str:
    """Return a digest of what is adopted: it names the run, so that adopting twice registers once."""
    if not source.exists():
        raise FactoryError(
            f"{source}: there is no such file; name a model's file, its folder, or an MLflow model's URI"
        )
    content = package_digest(source) if source.is_dir() else hashlib.sha256(source.read_bytes()).hexdigest()
    return hashlib.sha256(f"{content}\n{document.model_dump_json()}".encode()).hexdigest()[:12]


def _measured(adopted: Adopted, package: Path, table: pd.DataFrame) -> tuple[Prepared | None, dict[str, Any]]:
    """Return the given rows as held-out rows, and the metrics on them; nothing where they have no labels."""
    import numpy as np
    import pandas as pd

    from include.automl.bench import outputs_of
    from include.evaluation.intervals import Scored, bootstrap_intervals
    from include.features.prepared import Prepared
    from include.inference.package import open_package
    from include.registry.adoption.package import typed_table
    from include.specs.training import METRICS

    manifest = adopted.manifest
    if manifest.target not in table.columns:
        return None, {}
    if manifest.classes is None:
        target = pd.to_numeric(table[manifest.target]).to_numpy(dtype=float)
    else:
        codes = {str(label): code for code, label in enumerate(manifest.classes)}
        if unknown := sorted(set(map(str, table[manifest.target])) - set(codes)):
            raise FactoryError(
                f"column '{manifest.target}' holds {', '.join(unknown[:5])}, which are none of the classes"
            )
        target = np.array([codes[str(label)] for label in table[manifest.target]])
    frame = typed_table(table, manifest.features)
    prepared = Prepared(manifest.task, manifest.features, manifest.classes, frame, target, frame, target)
    scored = Scored(outputs_of(open_package(package).estimator, frame), manifest.threshold)
    intervals = bootstrap_intervals(METRICS[manifest.task], target, scored)
    return prepared, {name: interval.as_dict() for name, interval in intervals.items()}


def _register(
    platform: Platform,
    described: ModelSpec | Described,
    adopted: Adopted,
    package: Path,
    origin: str,
    spec: ModelSpec | None,
    metrics: dict[str, Any],
) -> Version:
    """Register the package the way a training run's is, and let it be the challenger."""
    manifest = adopted.manifest
    tracking, registry = Tracking(platform, described), Registry(platform)
    mlflow_run = tracking.ensure_run(manifest.run, PIPELINE)
    shown = origin if origin.startswith(URI) else Path(origin).name
    tags = {
        "factory.pipeline": PIPELINE,
        "factory.adopted": shown,
        "factory.spec": spec_digest(spec) if spec else "",
        "factory.code": code_version(),
        "factory.environment": environment_digest(),
        "factory.algorithm": f"adopted {manifest.algorithm}",
        "factory.parameters": json.dumps({"adopted": adopted.form}),
        **{f"factory.metric.{name}": str(one["value"]) for name, one in metrics.items()},
    }
    lineage = {
        "Adopted from": f"`{shown}`",
        "Run": f"`{manifest.run}`",
        "Package": f"`sha256:{package_digest(package)[:16]}`",
        "Code": f"`{tags['factory.code']}`",
        "Environment": f"`{tags['factory.environment']}` (requirements.txt)",
    }
    card = adopted_card(adopted, described.description, described.owner, metrics, lineage)
    (package.parent / CARD).write_text(card, encoding="utf-8")
    tracking.artifacts(mlflow_run, package.parent / CARD)
    description = f"adopted from {shown} ({adopted.form}). The model card lies beside the model: `{CARD}`."
    version = registry.register(manifest.model, package, manifest.run, mlflow_run, tags, description, card)
    if not version.aliases and version.stage != "Archived":
        version = registry.set_alias(version, "challenger")
    tracking.log(mlflow_run, metrics={name: one["value"] for name, one in metrics.items()}, tags=tags)
    tracking.finish(mlflow_run)
    return version


def _leave_run(
    platform: Platform, adopted: Adopted, work: Path, prepared: Prepared | None, metrics: dict[str, Any]
) -> None:
    """Leave a run folder: release probes with its rows, and monitoring compares what is served with them."""
    manifest = adopted.manifest
    folder = RunFolder(ArtifactStore.of(platform), manifest.model, manifest.run)
    steps: Iterable[tuple[str, dict[str, Any]]] = [
        ("search", {"algorithm": manifest.algorithm, "threshold": manifest.threshold, "metrics": metrics})
    ]
    if prepared is not None:
        prepared.save(work / "prepare" / "prepared")
        steps = [("prepare", {"train_rows": 0, "test_rows": len(prepared.test), "dropped": {}}), *steps]
    for step, values in steps:
        now = datetime.now(UTC)
        folder.start(step)
        folder.finish(
            Result(
                model=manifest.model,
                pipeline=PIPELINE,
                run=manifest.run,
                step=step,
                status="done",
                started=now,
                ended=now,
                message=f"adopted from {adopted.form}",
                values=values,
            ),
            work / step,
        )


def main(arguments: Sequence[str]) -> int:
    """Adopt one model; say what it became, or why it was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m include.steps.adopt", description="Adopt a model trained elsewhere."
    )
    parser.add_argument("model")
    parser.add_argument("--from", dest="origin", required=True, help="file, folder, or URI of MLflow")
    parser.add_argument("--manifest", type=Path, required=True, help="YAML or JSON: task, target, features, classes …")
    parser.add_argument("--rows", type=Path, help="CSV of real rows, with expected answers or labels where known")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference from an expected answer")
    asked = parser.parse_args(arguments)
    try:
        document = read_document(asked.manifest)
        version, adopted = adopt(load_platform(), asked.model, asked.origin, document, asked.rows, asked.tolerance)
    except FactoryError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    compared = f"; {adopted.compared} rows agree within {asked.tolerance:g}" if adopted.compared else ""
    role = " and ".join(version.aliases) or version.stage.lower()
    print(f"✓ adopted from {adopted.form} as {version}, {role}{compared}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
