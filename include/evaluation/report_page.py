"""What held-out rows say of a model, as sections of the report's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from include.automl.page import PLAIN, heading, paragraph, plots, table

_ANSWERS = {
    "roc": "ROC curve",
    "precision_recall": "Precision and recall",
    "calibration": "Calibration: mean probability and share of positives of ten groups",
    "lift": "Lift: positives among the likeliest rows",
    "confusion": "Confusion",
    "predicted": "Predicted and true",
    "residuals": "Residuals",
}
_COLUMNS = {
    "importance": "Permutation importance: metric lost when a column is shuffled",
    "shap": "SHAP values: mean size of what a column adds to an answer",
}


def evaluation_sections(
    values: Mapping[str, Any], shap: Mapping[str, Any], dependence: Sequence[Mapping[str, Any]], pictures: Path
) -> list[str]:
    """Return sections for `include.automl.page.extended`.

    Args:
        values: ``metrics``, ``latency_ms``, ``size_mb`` and ``differences`` of the evaluation.
        shap: as `include.evaluation.explain.shap_importance` gives it.
        dependence: as `include.evaluation.dependence.partial_dependence` gives it.
        pictures: folder of what `include.evaluation.plots` wrote; what is not there does not fit the task.
    """
    figures = [
        (PLAIN, (name, _number(found["value"]), f"{_number(found['low'])} to {_number(found['high'])}"))
        for name, found in values["metrics"].items()
    ]
    latency = values["latency_ms"]
    costs = [
        (PLAIN, ("a single row, p50 and p95", f"{latency['p50']:.3g} and {latency['p95']:.3g} ms")),
        (PLAIN, ("what serving reads", f"{values['size_mb']:.3g} MiB")),
    ]
    differences = [(PLAIN, (name, _number(value))) for name, value in values.get("differences", {}).items()]
    sections = [
        heading("Held-out rows"),
        table(("metric", "value", "interval"), figures),
        table(("cost", ""), costs),
        *([table(("difference between groups", ""), differences)] if differences else []),
        _pictures(pictures, _ANSWERS),
        heading("What it rests on"),
        _pictures(pictures, _COLUMNS),
    ]
    if "reason" in shap:
        sections.append(paragraph(f"No SHAP values: {shap['reason']}."))
    if dependence:
        curves = {
            f"dependence_{place}": f"Mean answer by {found['feature']}" for place, found in enumerate(dependence, 1)
        }
        sections += [heading("Partial dependence"), _pictures(pictures, curves)]
    return sections


def _pictures(folder: Path, shown: Mapping[str, str]) -> str:
    files = ((says, folder / f"{name}.png") for name, says in shown.items())
    return plots((says, file) for says, file in files if file.is_file())


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"
