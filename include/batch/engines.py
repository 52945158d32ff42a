"""Who scores the parts of a source: this process, a Ray cluster, or Spark."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from include.batch.chunks import Chunk, sliced
from include.batch.scoring import Scored, score_rows
from include.data.files import ParquetSource
from include.data.source import Source
from include.engines.errors import EngineError
from include.engines.ray_cluster import connect, cores
from include.engines.spark_session import spark_session
from include.serving.models.loaded import LoadedModel, load_model
from include.specs import Platform

_WAITING = 4
"""Parts in the cluster's memory for each of its cores: more would only use memory."""


def score_here(model: LoadedModel, parts: Iterator[Chunk], id_column: str | None) -> Iterator[Scored]:
    """Yield what became of each part, in order."""
    for first, frame in parts:
        yield score_rows(model, frame, id_column, first)


def score_on_ray(model: LoadedModel, parts: Iterator[Chunk], id_column: str | None, address: str) -> Iterator[Scored]:
    """Yield what became of each part, in order; a part of a lost worker is scored again by another.

    Args:
        model: the version; its package goes to the cluster once.
        parts: of the source.
        id_column: see `score_rows`.
        address: see `include.engines.ray_cluster.connect`.

    Raises:
        EngineError: the cluster cannot be used, or a part failed on it.
    """
    ray = connect(address)
    package = ray.put(_files(model.folder))
    task = ray.remote(num_cpus=1, max_retries=3)(_score_there)
    most = _WAITING * cores(ray) * max(1, len(ray.nodes()))
    under_way: list[Any] = []
    try:
        for first, frame in parts:
            under_way.append(task.remote(package, model.model, model.version, frame, id_column, first))
            if len(under_way) >= most:
                yield ray.get(under_way.pop(0))
        while under_way:
            yield ray.get(under_way.pop(0))
    except ray.exceptions.RayTaskError as error:
        raise EngineError(f"a part could not be scored on Ray: {type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise EngineError(f"Ray lost a part three times ({str(error).splitlines()[0]}); look at its nodes") from error
    finally:
        for call in under_way:
            ray.cancel(call, force=True)


def score_on_spark(model: LoadedModel, source: Source, id_column: str | None, platform: Platform) -> Iterator[Scored]:
    """Yield what became of a Parquet file's row groups, which Spark's workers read themselves.

    Raises:
        EngineError: Spark cannot be used, or the source is no Parquet file.
    """
    if not isinstance(source, ParquetSource):
        raise EngineError(f"{source.title} cannot be divided among Spark's workers: give Parquet, or another engine")
    groups = source.row_groups()
    firsts = [sum(groups[:group]) for group in range(len(groups))]
    with spark_session(platform, f"predictions of {model.model}") as spark:
        context = spark.sparkContext
        package = context.broadcast(_files(model.folder))
        name, version = model.model, model.version

        def work(part: tuple[int, int]) -> Iterator[Scored]:
            group, first = part
            for number, frame in sliced(source.read_row_group(group), first):
                yield _score_there(package.value, name, version, frame, id_column, number)

        parts = list(enumerate(firsts))
        yield from context.parallelize(parts, len(parts)).flatMap(work).toLocalIterator(prefetchPartitions=True)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


def _score_there(
    files: dict[str, bytes], name: str, version: str, frame: Any, id_column: str | None, first: int
) -> Scored:
    """Score a part in a worker of the cluster, which keeps the model for the next one."""
    _GIVEN[name, version] = files
    return score_rows(_loaded(name, version), frame, id_column, first)


_GIVEN: dict[tuple[str, str], dict[str, bytes]] = {}


@lru_cache(maxsize=2)
def _loaded(name: str, version: str) -> LoadedModel:
    folder = Path(tempfile.mkdtemp(prefix="factory-batch-"))
    for path, content in _GIVEN[name, version].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return load_model(name, version, folder)
