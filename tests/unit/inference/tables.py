"""Real-looking rows of every type, and small pipelines that were fitted on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from include.features.plan import build_plan
from include.inference.frames import mixed_frame
from include.inference.scorer import Row
from include.specs.training import Features, Task
from include.store.packages import Field, Manifest, ModelPackage

FIELDS = (
    Field(name="fee", type="number", example=9.5),
    Field(name="logins", type="number", nullable=False, example=3),
    Field(name="vip", type="boolean", example=True),
    Field(name="plan", type="string", example="basic"),
    Field(name="city", type="string", example="city 1"),
    Field(name="seen", type="datetime", example="2026-01-01T00:00:00+00:00"),
)
NUMBERS = tuple(Field(name=f"x{index}", type="number", example=0.5) for index in range(6))
CLASSES: dict[Task, tuple[Any, ...] | None] = {
    "binary": ("stays", "leaves"),
    "multiclass": ("red", "green", "blue"),
    "regression": None,
}
START = datetime(2026, 1, 1, tzinfo=UTC)


def mixed_rows(count: int, seed: int = 0) -> list[Row]:
    """Return rows of `FIELDS`: gaps everywhere, a rare plan, many cities."""
    rng = np.random.default_rng(seed)

    def row() -> Row:
        gap = rng.random(6) < 0.1
        return (
            float("nan") if gap[0] else float(rng.normal(50, 20)),
            float(rng.poisson(3)),
            float("nan") if gap[2] else float(rng.random() < 0.3),
            None if gap[3] else str(rng.choice(["basic", "pro", "team", "odd"], p=[0.5, 0.3, 0.19, 0.01])),
            None if gap[4] else f"city {int(rng.integers(40))}",
            None if gap[5] else START + timedelta(seconds=int(rng.integers(3 * 365 * 86_400))),
        )

    return [row() for _ in range(count)]


def strange_rows() -> list[Row]:
    """Return rows of `FIELDS` that training has not seen: nothing known, unseen levels, the ends of every range."""
    nan, largest = float("nan"), 3.4028234663852886e38
    return [
        (nan, nan, nan, None, None, None),
        (0.0, 0.0, 0.0, "", "", datetime(1678, 1, 1, tzinfo=UTC)),
        (
            largest,
            -largest,
            1.0,
            "unseen",
            "city 1 and a very long tail" * 9,
            datetime(2261, 12, 31, 23, 59, tzinfo=UTC),
        ),
        (-largest, 1e-300, nan, "basic\0", "CITY 1", datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        (1 / 3, 2**53 + 1.0, 1.0, "(missing)", "ünïcödé ☃", datetime(2024, 2, 29, tzinfo=timezone_of(5.5))),
    ]


def timezone_of(hours: float) -> Any:
    """Return a fixed offset from UTC."""
    from datetime import timezone

    return timezone(timedelta(hours=hours))


def number_rows(count: int, seed: int = 0) -> list[Row]:
    """Return rows of `NUMBERS`, a few of them with gaps."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(count, len(NUMBERS)))
    table[rng.random(table.shape) < 0.02] = np.nan
    return [tuple(row) for row in table.tolist()]


def targets(rows: Sequence[Row], task: Task) -> np.ndarray:
    """Return targets that depend on the first two columns of ``rows``: codes of classes, or values."""
    table = np.nan_to_num(np.array([row[:2] for row in rows], dtype=float))
    signal = table[:, 0] / 20 + table[:, 1] + np.random.default_rng(1).normal(size=len(rows))
    if task == "regression":
        return signal
    return np.digitize(signal, np.quantile(signal, [0.5] if task == "binary" else [0.33, 0.66]))


def fitted(
    estimator: Any, task: Task = "binary", fields: tuple[Field, ...] = FIELDS, scale: bool = False, count: int = 400
) -> ModelPackage:
    """Return a package: a feature plan and ``estimator``, fitted on `mixed_rows` or `number_rows`."""
    rows = mixed_rows(count) if fields == FIELDS else number_rows(count)
    plan = build_plan(fields, Features(max_onehot=10), task, "scaled" if scale else "trees")
    pipeline = Pipeline([("features", plan), ("model", estimator)])
    return ModelPackage(manifest(task, fields), pipeline.fit(mixed_frame(rows, fields), targets(rows, task)))


def manifest(task: Task, fields: tuple[Field, ...] = FIELDS) -> Manifest:
    """Return the manifest of a model of ``fields``."""
    return Manifest(
        model="m",
        task=task,
        target="y",
        features=fields,
        classes=CLASSES[task],
        algorithm="test",
        run="automl_pipeline.test",
        trained_at=START,
    )
