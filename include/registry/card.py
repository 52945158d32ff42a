"""The model card: what a version is, what it was made of, how good it is, and what it must not be used for.

Sections follow Mitchell et al. 2019, "Model Cards for Model Reporting". It is written from the results of the run's
steps, plain dictionaries, and leaves out what a run did not record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from include.inference.choice import BATCH
from include.specs import ModelSpec
from include.store.packages import Manifest

Values = Mapping[str, Any]


def model_card(spec: ModelSpec, manifest: Manifest, steps: Mapping[str, Values], lineage: Mapping[str, str]) -> str:
    """Return the model card as Markdown.

    Args:
        spec: the model's spec.
        manifest: manifest of the package.
        steps: values of the run's steps by name: snapshot, validate, prepare, search, evaluate, report, gate.
        lineage: what the version was made of: title → value, such as ``Code`` → ``git.1a2b3c``.
    """
    sections = (
        ("Purpose", _purpose(spec, manifest, steps.get("search", {}).get("second_model") or {})),
        ("How to call it", how_to_call(manifest)),
        ("Quality on held-out rows", _quality(spec, steps)),
        ("How it is served", _served(steps.get("search", {}).get("packaging", {}))),
        ("Gates", _gates(steps.get("gate", {}))),
        ("Data", _data(spec, steps)),
        ("Inputs", inputs_table(manifest)),
        ("Limits", _limits(spec, manifest, steps)),
        ("Lineage", fact_list(lineage.items())),
    )
    parts = [f"# {spec.name}: model card", *(f"## {title}\n\n{body}" for title, body in sections if body)]
    return "\n\n".join(parts) + "\n"


def _purpose(spec: ModelSpec, manifest: Manifest, second: Values) -> str:
    predicted = f"`{manifest.target}` ({manifest.task})"
    if manifest.task == "binary" and manifest.classes:
        predicted += f"; positive is `{manifest.classes[1]}`, answered from a probability of {manifest.threshold:g}"
    facts = [
        ("Predicts", predicted),
        ("Owner", spec.owner),
        ("Algorithm", manifest.algorithm + (", stacked" if second.get("taken") else "")),
        ("Second model", second.get("told")),
        ("Trained at", f"{manifest.trained_at:%Y-%m-%d %H:%M %Z}"),
        ("Tags", ", ".join(spec.tags)),
    ]
    return "\n\n".join(part for part in (spec.description.strip(), fact_list(facts)) if part)


def how_to_call(manifest: Manifest) -> str:
    """Return a request that works, and what the answer holds."""
    example = {field.name: field.example for field in manifest.features if field.used}
    body = json.dumps({"features": example}, indent=2, default=str)
    answer = "a label and a probability for each class" if manifest.classes else "a number as the label"
    return (
        f"```\nPOST /v1/models/{manifest.model}/predict\n{body}\n```\n\n"
        f"The answer holds {answer}. Every column that is used must be sent; a value may be null."
    )


def _quality(spec: ModelSpec, steps: Mapping[str, Values]) -> str:
    evaluation, search = steps.get("evaluate", {}), steps.get("search", {})
    confidence = f"{spec.gates.confidence:.0%} interval"
    rows = [
        (f"**{name}**" if name == spec.metric else name, _number(metric.get("value")), _interval(metric))
        for name, metric in evaluation.get("metrics", {}).items()
    ]
    facts = []
    if cv := search.get("cv"):
        mean, deviation = _number(cv.get("mean")), _number(cv.get("std"))
        folds = cv.get("folds")
        count = len(folds) if isinstance(folds, Sequence) else folds
        facts.append(("Cross-validation", f"{spec.metric} {mean} ± {deviation} over {count} folds"))
    if latency := evaluation.get("latency_ms"):
        facts.append(
            ("Latency of one row", f"p50 {_number(latency.get('p50'))} ms, p95 {_number(latency.get('p95'))} ms")
        )
    if size := evaluation.get("size_mb"):
        facts.append(("Size", f"{_number(size)} MiB"))
    if trials := search.get("trials"):
        facts.append(("Search", f"{trials} trials in {_number(search.get('seconds'))} s"))
    return "\n\n".join(
        part for part in (markdown_table(("metric", "value", confidence), rows), fact_list(facts)) if part
    )


def _served(packaging: Values) -> str:
    """Return which runtime answers, and how each that was considered compares with the estimator."""
    chosen = packaging.get("runtime")
    rows = [
        (
            f"**{entry['runtime']}**" if entry["runtime"] == chosen else entry["runtime"],
            _number(entry.get("one_ms")),
            _number(entry.get("batch_ms")),
            _number(entry.get("size_mb")),
            _percent(entry.get("share_different")),
            _percent(entry.get("share_labels")),
            _number(entry.get("largest_difference")),
            entry.get("reason", ""),
        )
        for entry in packaging.get("candidates", [])
    ]
    if not rows:
        return ""
    head = ("runtime", "1 row, ms", f"{BATCH} rows, ms", "MiB", "rows that differ", "other label", "largest", "note")
    compared = packaging["candidates"][0].get("rows")
    return (
        f"`{chosen}` answers. Each runtime was held against the estimator as it was trained (`sklearn`) on {compared} "
        f"rows; times are CPU time of one thread.\n\n{markdown_table(head, rows)}{_optimised(packaging)}"
    )


def _optimised(packaging: Values) -> str:
    """Return what the optimised forms lose and gain, and which one serves."""
    rows = [
        (
            f"**{entry['form']}**" if entry["serves"] else entry["form"],
            entry.get("runtime", ""),
            _percent(entry.get("loss")),
            f"{_percent(entry['low'])} to {_percent(entry['high'])}" if _is_number(entry.get("high")) else "",
            _times(entry.get("one_ms_before"), entry.get("one_ms")),
            _times(entry.get("size_mb_before"), entry.get("size_mb")),
            "serves" if entry["serves"] else entry.get("reason", ""),
        )
        for entry in packaging.get("optimised", [])
    ]
    if not rows:
        return ""
    first: Values = next((entry for entry in packaging["optimised"] if entry.get("metric")), {})
    measured = f" on {first['rows']} held-out rows, as shares of {first['metric']}" if first else ""
    head = ("form", "runtime", "lost", "interval", "faster", "smaller", "verdict")
    return f"\n\nOptimised forms{measured}:\n\n{markdown_table(head, rows)}"


def _times(before: Any, after: Any) -> str:
    return f"{before / after:.1f} times" if _is_number(before) and _is_number(after) and after else ""


def _gates(gate: Values) -> str:
    rows = [(entry.get("name"), entry.get("verdict"), entry.get("message", "")) for entry in gate.get("gates", [])]
    against = gate.get("champion")
    note = f"Compared with version {against} on the same rows." if against else "There was no champion to compare with."
    return f"{markdown_table(('gate', 'verdict', 'evidence'), rows)}\n\n{note}" if rows else ""


def _data(spec: ModelSpec, steps: Mapping[str, Values]) -> str:
    snapshot, prepare, validate = (steps.get(name, {}) for name in ("snapshot", "prepare", "validate"))
    span = [snapshot.get("first_event"), snapshot.get("last_event")]
    facts = [
        ("Source", f"{spec.data.source.type}; rows from {snapshot.get('origin', 'source')}"),
        ("Snapshot", f"`{snapshot['digest']}`" if "digest" in snapshot else None),
        ("Rows", snapshot.get("rows")),
        ("Events", f"{span[0]} to {span[1]}" if all(span) else None),
        ("Set aside by validation", validate.get("quarantined")),
        ("Training rows", prepare.get("train_rows")),
        ("Held-out rows", prepare.get("test_rows")),
        ("Positive share", _number(prepare["prevalence"]) if _is_number(prepare.get("prevalence")) else None),
    ]
    return fact_list(facts)


def inputs_table(manifest: Manifest) -> str:
    """Return the columns that a caller sends."""
    rows = [
        (
            f"`{field.name}`",
            field.type,
            "yes" if field.used else "no: may be left out",
            "yes" if field.nullable else "no",
            field.example,
        )
        for field in manifest.features
    ]
    return markdown_table(("column", "type", "used", "empty in training", "example"), rows)


def _limits(spec: ModelSpec, manifest: Manifest, steps: Mapping[str, Values]) -> str:
    lines = ["It knows only the population of its snapshot; monitoring compares what is served with those rows."]
    if span := steps.get("snapshot", {}).get("last_event"):
        lines.append(f"It has seen nothing after {span}.")
    if any(field.type == "string" for field in manifest.features):
        lines.append("A category that training never saw is answered as an unknown one.")
    drift = steps.get("report", {}).get("drift_share")
    if _is_number(drift):
        lines.append(f"{drift:.0%} of its inputs differed in distribution between training and held-out rows.")
    lines += [f"`{column}` is not used: {why}" for column, why in steps.get("prepare", {}).get("dropped", {}).items()]
    if "simulated" in spec.tags:
        lines.append("Its data are simulated: no conclusion about real people may be drawn from it.")
    return "\n".join(f"- {_cell(line)}" for line in lines)


def fact_list(facts: Iterable[tuple[str, Any]]) -> str:
    """Return a list of title and value; empty values are left out."""
    return "\n".join(f"- **{title}**: {value}" for title, value in facts if value not in (None, ""))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _interval(metric: Values) -> str:
    low, high = metric.get("low"), metric.get("high")
    return f"{_number(low)} to {_number(high)}" if _is_number(low) and _is_number(high) else ""


def _percent(value: Any) -> str:
    return f"{value:.2%}" if _is_number(value) else ""


def _number(value: Any) -> str:
    return f"{value:.4g}" if _is_number(value) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
