"""The table at the end of the shipped run: versions, metrics with intervals, gates, drift, links."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from include.local.life import Life
from include.store.prediction_log import PredictionLog
from include.store.runs import Result
from include.store.signals import SignalStore


def print_summary(life: Life, ending: str, seconds: float) -> None:
    """Print what became of the model."""
    console = life.console
    console.print()
    console.rule(f"[bold]{life.spec.name}[/] after {seconds / 60:.1f} min: {ending}")
    console.print(_versions(life))
    comparison = life.results.get("retrain", {}).get("gate")
    if comparison is not None and comparison.values.get("comparison"):
        console.print(_difference(life, comparison.values["comparison"]), highlight=False)
    console.print(_windows(life))
    _links(life, console)


def _versions(life: Life) -> Table:
    table = Table(title="Versions", title_justify="left")
    for column in (
        "version",
        "trained by",
        "algorithm",
        "rows",
        f"{life.spec.metric} on held-out rows",
        "gates",
        "now",
    ):
        table.add_column(column)
    for stage in ("train", "retrain"):
        results = life.results.get(stage, {})
        if "search" not in results:
            continue
        gates = results["gate"].values["gates"] if "gate" in results else []
        failed = [gate["name"] for gate in gates if gate["verdict"] == "fail"]
        registered = results.get("register")
        number = registered.values["version"] if registered else None
        table.add_row(
            f"{number} ({registered.values['semantic']})" if registered else "not registered",
            life.runs[stage].dag_id.split(".", 1)[1],
            str(results["search"].values["algorithm"]),
            str(results["prepare"].values["train_rows"]),
            _with_interval(results["evaluate"], life.spec.metric),
            f"failed: {', '.join(failed)}" if failed else f"{len(gates)} passed",
            _role(life, number),
        )
    return table


def _with_interval(evaluated: Result | None, metric: str) -> str:
    if evaluated is None:
        return ""
    value: dict[str, Any] = evaluated.values["metrics"][metric]
    return f"{value['value']:.3f} ({value['low']:.3f} … {value['high']:.3f})"


def _role(life: Life, number: int | None) -> str:
    """Return what a version is after the last release that moved the champion; nothing for an unregistered one."""
    if number is None:
        return ""
    for stage in ("rollout", "release"):
        promoted = life.results.get(stage, {}).get("promote")
        if promoted is not None:
            return "champion" if promoted.values["version"] == number else "archived"
    return ""


def _difference(life: Life, comparison: dict[str, Any]) -> str:
    return (
        f"New against old champion on the same held-out rows, by {life.spec.metric}: better by "
        f"[bold]{comparison['value']:+.3f}[/] ({comparison['low']:+.3f} … {comparison['high']:+.3f})"
    )


def _windows(life: Life) -> Table:
    table = Table(title="Monitored windows", title_justify="left")
    for column in ("from", "to", "rows", "served by", "signals"):
        table.add_column(column)
    for window in SignalStore(life.platform).windows(life.spec.name):
        signals = f"[red]{', '.join(window.signals)}[/]" if window.signals else "[green]quiet[/]"
        table.add_row(
            f"{window.start:%Y-%m-%d}", f"{window.end:%Y-%m-%d}", str(window.rows), f"version {window.version}", signals
        )
    return table


def _links(life: Life, console: Console) -> None:
    name, platform = life.spec.name, life.platform
    total = len(PredictionLog(platform).frame(name))
    console.print(f"{total} predictions are in the log. The stack stays up; `make stop` ends it.", highlight=False)
    links = {
        "Airflow": f"{platform.airflow_url}/dags?tags={name}",
        "Factory page": f"{platform.airflow_url}/factory/",
        "MLflow": platform.mlflow_uri,
        "Model server": f"{platform.serving_url}/models",
    }
    for stage, task, title in (("retrain", "gate", "Gate report"), ("drift", "monitor", "Evidently report")):
        result = life.results.get(stage, {}).get(task)
        if result is not None and title in result.links:
            links[f"{title} ({stage})"] = result.links[title]
    for title, address in links.items():
        console.print(f"  {title:<28} {address}", highlight=False, soft_wrap=True)
