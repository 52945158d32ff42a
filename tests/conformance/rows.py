"""Rows that every suite sends."""

from __future__ import annotations

import numpy as np

HOUSE = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [3.0, 1.0, 0.0]])
CHURN = [
    {"age": 33.0, "vip": True, "plan": "pro", "seen": "2026-02-01T08:00:00Z"},
    {"age": 61.5, "vip": False, "plan": "basic", "seen": "2026-01-15T00:00:00+02:00"},
    {"age": 20.0, "vip": True, "plan": "never seen", "seen": "2025-12-31"},
]


def churn_inputs() -> list[tuple[str, str, np.ndarray]]:
    """Return name, data type and values of a tensor a feature."""
    types = {
        "age": ("FP64", np.float64),
        "vip": ("BOOL", np.bool_),
        "plan": ("BYTES", object),
        "seen": ("BYTES", object),
    }
    return [
        (name, datatype, np.array([row[name] for row in CHURN], dtype=dtype))
        for name, (datatype, dtype) in types.items()
    ]
