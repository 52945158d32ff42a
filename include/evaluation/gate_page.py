"""The gate report as a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from include.automl.page import FAIL, PASS, PLAIN, heading, page, table
from include.evaluation.gates import GateReport

_PLAIN_FACTS = (
    ("algorithm", "Algorithm"),
    ("strategy", "Strategy"),
    ("parameters", "Parameters"),
    ("champion", "Champion"),
    ("train_rows", "Training rows"),
    ("test_rows", "Held-out rows"),
)


def gate_page(model: str, run: str, report: GateReport, facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return the report as a self-contained HTML page.

    Args:
        model: the model's name.
        run: name of the run folder.
        report: the gates.
        facts: what is known of the candidate, by the names of ``_PLAIN_FACTS``; others are left out.
        metrics: name → ``{"value", "low", "high"}`` on the held-out rows.
    """
    verdict = (
        f"passed all {len(report.gates)} gates"
        if report.verdict == "pass"
        else f"failed {len(report.failed)} of {len(report.gates)} gates"
    )
    gates = [
        (PASS if gate.verdict == "pass" else FAIL, (gate.name, gate.verdict, gate.message)) for gate in report.gates
    ]
    known = [(PLAIN, (title, facts[key])) for key, title in _PLAIN_FACTS if facts.get(key) is not None]
    figures = [
        (PLAIN, (name, _number(found["value"]), f"{_number(found['low'])} to {_number(found['high'])}"))
        for name, found in metrics.items()
    ]
    evidence = [(PLAIN, (gate.name, json.dumps(gate.evidence))) for gate in report.gates]
    sections = [
        table(("gate", "verdict", "why"), gates),
        heading("Held-out rows"),
        table(("metric", "value", "interval"), figures),
        heading("Candidate"),
        table(("", ""), known),
        heading("Evidence"),
        table(("gate", "numbers"), evidence),
    ]
    return page(f"{model}: the candidate {verdict}", f"run {run}", sections)


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"
