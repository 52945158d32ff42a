"""Answer many rows with a released version: predictions with ids, version and rejected rows, in the artifact store."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from include.batch.chunks import chunks
from include.batch.engines import score_here, score_on_ray, score_on_spark
from include.batch.scoring import Scored
from include.data.source import Source
from include.data.sources import open_source
from include.registry.models import Registry, Version
from include.serving.models.loaded import LoadedModel, load_model
from include.specs import FactoryError, ModelSpec, load_platform, parse_spec
from include.specs.params import BatchParams
from include.steps.context import Outcome, StepContext
from include.steps.kernel import Call, execute
from include.store.artifacts import ArtifactStore

PREDICTIONS, REJECTED = "predictions.parquet", "rejected.parquet"


def run(context: StepContext) -> Outcome:
    """Score a source; leaves ``predictions.parquet`` and ``rejected.parquet``.

    Raises:
        FactoryError: there is no such version, the source cannot be read, or the engine cannot be used.
    """
    params = context.parse(BatchParams)
    source = open_source(_spec(context.spec, params.path), context.platform)
    registry = Registry(context.platform)
    version = _version(registry, context.spec.name, params.version)
    model = load_model(context.spec.name, str(version.number), registry.fetch(version))
    id_column = context.spec.data.id if context.spec.data.id in source.names else None
    began = time.monotonic()
    rows, rejected = _write(context, _scored(context, model, source, id_column))
    seconds = time.monotonic() - began
    values: dict[str, Any] = {
        "version": version.number,
        "rows": rows,
        "rejected": rejected,
        "seconds": round(seconds, 2),
        "engine": context.platform.engines.predictions,
        "source": source.title,
    }
    refused = f"; {rejected} could not be read: {REJECTED} says why" if rejected else ""
    message = f"version {version.number} answered {rows} rows of {source.title} in {seconds:.1f} s{refused}"
    return Outcome(message, values)


def _spec(spec: ModelSpec, path: str | None) -> ModelSpec:
    """Return the spec with another file as its source, where one is named."""
    if path is None:
        return spec
    document = json.loads(spec.model_dump_json())
    document["data"] |= {"source": {"path": path}, "time": None, "window": None}
    return parse_spec(json.dumps(document), spec.name)


def _version(registry: Registry, model: str, number: int | None) -> Version:
    found = registry.get(model, "champion" if number is None else number)
    if found is not None:
        return found
    if number is None:
        raise FactoryError(f"'{model}' has no champion: release a version first, or name one (VERSION=)")
    raise FactoryError(f"'{model}' has no version {number} in the registry; name another one")


def _scored(context: StepContext, model: LoadedModel, source: Source, id_column: str | None) -> Iterator[Scored]:
    engine = context.platform.engines.predictions
    if engine == "spark":
        return score_on_spark(model, source, id_column, context.platform)
    if engine == "ray":
        return score_on_ray(model, chunks(source), id_column, context.platform.ray_address)
    return score_here(model, chunks(source), id_column)


def _write(context: StepContext, scored: Iterator[Scored]) -> tuple[int, int]:
    """Write answers and rejections as they come; return how many there are of each."""
    import pyarrow.parquet as pq

    answered = rejected = 0
    with ExitStack() as files:
        writers: list[Any] = []
        for part in scored:
            if not writers:
                writers = [
                    files.enter_context(pq.ParquetWriter(context.work / name, table.schema, compression="zstd"))
                    for name, table in ((PREDICTIONS, part.answers), (REJECTED, part.rejected))
                ]
            writers[0].write_table(part.answers)
            writers[1].write_table(part.rejected)
            answered, rejected = answered + part.answers.num_rows, rejected + part.rejected.num_rows
    return answered, rejected


def main(arguments: Sequence[str]) -> int:
    """Score a source by hand; print where the answers are."""
    parser = argparse.ArgumentParser(prog="make predict-batch", description=main.__doc__)
    parser.add_argument("model")
    parser.add_argument("--from", dest="path", default="", help="CSV or Parquet file; the spec's source when empty")
    parser.add_argument("--version", type=int, help="version to ask; the champion when absent")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    name = f"by_hand.{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    params = {"path": options.path or None, "version": options.version}
    try:
        platform = load_platform()
        result = execute(Call("predict_batch", "predict_batch", options.model, "by_hand", name, params), platform)
    except FactoryError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(f"{result.status}: {result.message}")
    if result.status == "done":
        print(f"{ArtifactStore.of(platform).uri}/runs/{options.model}/{name}/predict_batch/{PREDICTIONS}")
    return 0 if result.status == "done" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
