"""Open the source that a spec names."""

from __future__ import annotations

from include.data.source import Source
from include.specs import ModelSpec, Platform
from include.specs import data as specs


def open_source(spec: ModelSpec, platform: Platform) -> Source:
    """Return the source of ``spec``; nothing is read yet, and only its own libraries are imported."""
    source = spec.data.source
    if isinstance(source, specs.FileSource):
        from include.data import files

        return files.CsvSource(spec, source) if source.type == "csv" else files.ParquetSource(spec, source)
    if isinstance(source, specs.SqlSource):
        from include.data.sql import SqlSource

        return SqlSource(spec, source, platform.service_retry_seconds)
    if isinstance(source, specs.FeastSource):
        from include.data.feast_source import FeastSource

        return FeastSource(spec, source, platform)
    if isinstance(source, specs.SparkSource):
        from include.data.spark_source import SparkSource

        return SparkSource(spec, source, platform)
    from include.data.builtin import DatasetSource

    return DatasetSource(spec, source)
