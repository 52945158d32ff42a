"""The model card of a version that was trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.registry.adoption.package import Adopted
from include.registry.card import fact_list, how_to_call, inputs_table, markdown_table
from include.store.packages import Manifest


def adopted_card(
    adopted: Adopted, description: str, owner: str, metrics: Mapping[str, Mapping[str, Any]], lineage: Mapping[str, str]
) -> str:
    """Return the model card as Markdown.

    Args:
        adopted: the package, and how it was tried.
        description: what the model is for.
        owner: who answers for it.
        metrics: value, low and high by metric, on the rows that were given with their labels; may be empty.
        lineage: where it came from: title → value.
    """
    manifest = adopted.manifest
    sections = (
        ("Purpose", "\n\n".join(part for part in (description.strip(), _facts(manifest, adopted.form, owner)) if part)),
        ("How to call it", how_to_call(manifest)),
        ("Quality on the rows that were given", _quality(metrics)),
        ("How it was tried", _tried(adopted)),
        ("Inputs", inputs_table(manifest)),
        ("Limits", _limits(manifest)),
        ("Lineage", fact_list(lineage.items())),
    )
    parts = [f"# {manifest.model}: model card", *(f"## {title}\n\n{body}" for title, body in sections if body)]
    return "\n\n".join(parts) + "\n"


def _facts(manifest: Manifest, form: str, owner: str) -> str:
    positive = f"; positive is `{manifest.classes[1]}`" if manifest.task == "binary" and manifest.classes else ""
    return fact_list(
        (
            ("Predicts", f"`{manifest.target}` ({manifest.task}){positive}"),
            ("Owner", owner),
            ("Adopted from", form),
            ("Served by", f"the runtime `{manifest.algorithm}`"),
            ("Adopted at", f"{manifest.trained_at:%Y-%m-%d %H:%M %Z}"),
        )
    )


def _quality(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    def shown(value: Any) -> str:
        return "" if value is None else f"{value:.4g}"

    rows = [
        (name, shown(one["value"]), f"{shown(one['low'])} to {shown(one['high'])}") for name, one in metrics.items()
    ]
    return markdown_table(("metric", "value", "95% interval"), rows)


def _tried(adopted: Adopted) -> str:
    difference = adopted.largest_difference
    return fact_list(
        (
            ("Rows answered", adopted.rows),
            ("Held against expected answers", f"{adopted.compared} rows" if adopted.compared else None),
            ("Largest difference from them", None if difference is None else f"{difference:.2g}"),
        )
    )


def _limits(manifest: Manifest) -> str:
    lines = ["- It was trained elsewhere: what it was trained on, and how it was chosen, the factory does not know."]
    if strict := [field.name for field in manifest.features if field.required]:
        lines.append(f"- It has no answer to a missing value of {', '.join(strict)}; such a request is refused.")
    return "\n".join(lines)
