"""A platform over small files of the shipped feature repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from include.data.churn import week_start
from include.specs import ModelSpec, Platform

FIRST_WEEK, WEEKS, PER_WEEK = 30, 3, 80
END = week_start(FIRST_WEEK + WEEKS)


@dataclass(frozen=True)
class Shop:
    """A platform with applied definitions, its files, and a spec that reads them."""

    platform: Platform
    data: Path
    spec: ModelSpec

    @property
    def entities(self) -> pd.DataFrame:
        """Return customers, moments and outcomes."""
        return pd.read_parquet(self.data / "churn_entities.parquet")


def feast_spec(entities: Path) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "churn_feast",
            "owner": "me",
            "data": {
                "source": {"type": "feast", "service": "churn_v1", "entities": str(entities)},
                "id": "customer_id",
                "time": "observed_at",
            },
            "problem": {"type": "binary", "target": "churned", "positive": 1},
        }
    )
