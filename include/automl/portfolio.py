"""What a search tries first: good and different configurations of every family, in an order that suits the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from include.automl.bench import Configuration
from include.automl.families import find_family
from include.specs.training import Features, Task

WIDE = 0.2
"""Columns a row from which linear models and nets are tried before most trees."""
_FIRST = ("linear", "lightgbm", "catboost", "neural_net", "xgboost", "extra_trees", "svm", "knn", "random_forest")
"""What is quick, then what lowers the regret most, as measured (``benchmarks/portfolio``); what takes long last."""
_WIDE_FIRST = ("linear", "lightgbm", "neural_net", "svm", "extra_trees", "catboost", "random_forest", "xgboost", "knn")


@dataclass(frozen=True)
class Shape:
    """What is known of a table before anything is fitted.

    Attributes:
        rows: training rows.
        columns: feature columns.
    """

    rows: int
    columns: int

    @classmethod
    def of(cls, folder: Path) -> Shape:
        """Return the shape of the training rows that `include.features.prepared.Prepared.save` wrote."""
        from pyarrow.parquet import read_metadata

        from include.features.prepared import TRAIN

        found = read_metadata(folder / TRAIN)
        columns = [name for name in found.schema.names if not name.startswith("__")]
        return cls(found.num_rows, len(columns))


def able(families: Sequence[str], features: Features) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the families that can do what the spec's ``features`` ask, and those that cannot."""
    unable = tuple(name for name in families if features.monotone and not find_family(name).can_be_monotone)
    return tuple(name for name in families if name not in unable), unable


def allowed(configuration: Configuration, features: Features) -> bool:
    """Tell whether a configuration that was found for another spec may be fitted under ``features``."""
    made_of = {column for _, *columns in configuration.generated for column in columns}
    return bool(able([configuration.family], features)[0]) and not made_of & set(features.monotone)


def portfolio(families: Sequence[str], task: Task, shape: Shape) -> list[Configuration]:
    """Return the first configuration of every family that learns ``task``, then the second ones, and so on.

    Args:
        families: names; families that the order does not know come last, as they are named.
        task: what is learnt.
        shape: of the table, which decides the order.
    """
    order = _order(shape)
    known = sorted(families, key=lambda name: order.index(name) if name in order else len(order))
    able = [family for family in map(find_family, known) if task in family.tasks]
    tiers = zip_longest(*(family.portfolio(task) for family in able))
    return [
        Configuration(family.name, params)
        for tier in tiers
        for family, params in zip(able, tier, strict=True)
        if params is not None
    ]


def _order(shape: Shape) -> tuple[str, ...]:
    return _WIDE_FIRST if shape.columns > WIDE * shape.rows else _FIRST
