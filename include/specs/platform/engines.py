"""Settings of the engines that may take over heavy work."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from include.specs.base import Spec


class Engines(Spec):
    """Who does the heavy work; ``local`` is the step's own process. Ray and Spark need requirements-engines.txt."""

    search: Literal["local", "ray"] = "local"
    """Where trials run; Ray's actors on the cluster of ``ray_address``."""
    predictions: Literal["local", "ray", "spark"] = "local"
    """Who scores in batch predictions."""
    drift: Literal["local", "spark"] = "local"
    """Who counts a window's columns for drift: Spark counts every row, ``local`` a sample of 5000."""
    spark_options: SecretStr = SecretStr("")
    """Spark properties as YAML, such as {spark.executor.memory: 8g}; credentials go here."""
