"""A Spark session on the master that FACTORY_SPARK_MASTER names."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.engines.errors import EngineError, needed
from include.specs import ROOT, FactoryError, Platform, Problem, SpecError

_OURS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}


@contextmanager
def spark_session(platform: Platform, name: str) -> Iterator[Any]:
    """Give a session whose workers can import the factory's code; it ends with the block.

    Args:
        platform: names the master, and further properties.
        name: what Spark calls the application.

    Raises:
        EngineError: pyspark or Java is missing, the master does not answer, or its Python is another one.
        SpecError: ``engines.spark_options`` is no mapping.
    """
    sql = needed("pyspark.sql", "the engine 'spark'")
    master = platform.spark_master
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise EngineError("Spark needs Java 17 or newer: install it, or name it by JAVA_HOME")
    builder = sql.SparkSession.builder.master(master).appName(f"model-factory {name}")
    options = dict(_OURS)
    if master.startswith("local"):
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    for key, value in (options | _options(platform)).items():
        builder = builder.config(key, value)
    with tempfile.TemporaryDirectory(prefix="factory-spark-") as folder:
        try:
            session = builder.getOrCreate()
        except Exception as error:  # py4j's errors have no root of their own
            raise EngineError(f"Spark at '{master}' does not start: {_first(error)}") from error
        try:
            session.sparkContext.setLogLevel("ERROR")
            session.sparkContext.addPyFile(_code(Path(folder)))
            yield session
        except FactoryError:
            raise
        except Exception as error:
            if (told := _told(error)) is not None:
                raise told from error
            raise
        finally:
            session.stop()


def _options(platform: Platform) -> dict[str, str]:
    import yaml

    text = platform.engines.spark_options.get_secret_value()
    try:
        found = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        fix = "write one such as {spark.executor.memory: 8g}"
        raise SpecError([Problem("FACTORY_ENGINES__SPARK_OPTIONS", "it holds no YAML mapping", fix)])
    return {str(key): str(value) for key, value in found.items()}


def _code(folder: Path) -> str:
    """Return a zip of the factory's code, for workers that do not have it."""
    shutil.copytree(ROOT / "include", folder / "code" / "include", ignore=shutil.ignore_patterns("__pycache__"))
    return shutil.make_archive(str(folder / "factory"), "zip", folder / "code")


def _told(error: Exception) -> EngineError | None:
    """Return an error of a Spark job in a person's words; None for one that needs none."""
    text = str(error)
    if "PYTHON_VERSION_MISMATCH" in text or "Python in worker has different version" in text:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return EngineError(
            f"Spark's workers run another Python than {version}: set PYSPARK_PYTHON to one of that version"
        )
    if "No module named" in text:
        missing = text.split("No module named", 1)[1].split("\n", 1)[0].strip(" '\"")
        return EngineError(
            f"Spark's workers lack the package '{missing}': give them the environment of requirements.txt"
        )
    return None


def _first(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
