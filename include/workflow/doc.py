"""The page of a DAG in the Airflow UI, written from the spec."""

from __future__ import annotations

from include.specs import ModelSpec
from include.specs.base import format_duration
from include.specs.data import DatasetSource, FeastSource, FileSource, SparkSource
from include.specs.platform import load_platform


def document(spec: ModelSpec, pipeline: str, description: str) -> str:
    """Return the Markdown that tells what a DAG does, for which model, on what data, and what guards it."""
    rows = [
        ("Owner", spec.owner),
        ("Predicts", f"`{spec.problem.target}` ({spec.problem.type}), measured by {spec.metric}"),
        ("Data", _data(spec)),
        ("Search", _search(spec)),
        ("Gates", _gates(spec)),
        ("Release", _release(spec)),
        ("Monitoring", _monitoring(spec)),
        ("Spec", f"`config/models/{spec.name}.yaml`"),
    ]
    table = "\n".join(f"| {name} | {_cell(text)} |" for name, text in rows)
    return "\n\n".join(
        part
        for part in (
            f"## {spec.name}: {pipeline.replace('_', ' ')}",
            description,
            spec.description.strip(),
            f"| | |\n| --- | --- |\n{table}",
            _links(spec, pipeline),
        )
        if part
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _data(spec: ModelSpec) -> str:
    source = spec.data.source
    if isinstance(source, FileSource):
        place = f"{source.type} file `{source.path}`"
    elif isinstance(source, FeastSource):
        place = f"feature service `{source.service}` for the entities in `{source.entities}`"
    elif isinstance(source, SparkSource):
        place = f"{'a Spark query over' if source.query else 'Spark,'} `{source.path}`"
    elif isinstance(source, DatasetSource):
        place = f"data set `{source.name}`"
    else:
        place = f"SQL, {f'table `{source.table}`' if source.table else 'a query'}"
    window = f", the latest {format_duration(spec.data.window)} by `{spec.data.time}`" if spec.data.window else ""
    return place + window


def _search(spec: ModelSpec) -> str:
    search = spec.search
    when = f"cron `{spec.schedule}`" if spec.schedule else "by hand"
    return f"{when}, {format_duration(search.budget)} over {', '.join(search.families)}, {search.folds} folds"


def _gates(spec: ModelSpec) -> str:
    bounds = [
        f"{bound.metric} {sign} {value:g}"
        for bound in spec.gates.thresholds
        for sign, value in (("≥", bound.min), ("≤", bound.max))
        if value is not None
    ]
    against = {"better": "better than the champion", "not_worse": "not worse than the champion", "off": ""}
    bounds.append(against[spec.gates.beat_champion])
    bounds.append(f"latency ≤ {spec.gates.max_latency_ms:g} ms, size ≤ {spec.gates.max_size_mb:g} MiB")
    return ", ".join(bound for bound in bounds if bound)


def _release(spec: ModelSpec) -> str:
    release = spec.release
    way = " → ".join(f"{percent} %" for percent in release.steps) if release.policy == "canary" else "all at once"
    return f"{release.policy.replace('_', '-')}, {way}, " + ("automatic" if release.automatic else "after approval")


def _monitoring(spec: ModelSpec) -> str:
    monitoring, retraining = spec.monitoring, spec.retraining
    when = f"cron `{monitoring.schedule}`" if monitoring.schedule else "by hand"
    policy = (
        f"retraining when {retraining.k} of the last {retraining.n} raise a signal"
        if retraining.enabled
        else "no retraining"
    )
    return f"{when}, windows of {format_duration(monitoring.window)}, {policy}"


def _links(spec: ModelSpec, pipeline: str) -> str:
    platform = load_platform()
    airflow, mlflow = platform.airflow_url.rstrip("/"), platform.mlflow_uri.rstrip("/")
    others = [
        f"[{name}]({airflow}/dags/{spec.name}.{name})"
        for name in ("automl_pipeline", "model_training", "model_deployment", "model_monitoring", "model_retraining")
        if name != pipeline
    ]
    return f"[Versions in MLflow]({mlflow}/#/models/{spec.name}) · [Model factory]({airflow}/factory/) · " + " · ".join(
        others
    )
