"""Measure the prediction log: ``make bench-log``.

- *append*: what recording one prediction costs the request, in microseconds of CPU with the system call: `Spool.append`
  encodes and writes into the page cache; the median of five runs of ``--rows`` records.
- *commit*: rows a second that a log writer moves from a full spool into a database, alone, and the CPU that its process
  spends on a row. (A PostgreSQL server works in processes of its own: its CPU is not in it.)
- *lag*: how long it takes from the append of a record until a reader sees it in the database, while records are
  appended at ``--rate`` a second and the log writer works beside it as it does beside a server.

SQLite is always measured; PostgreSQL where the distribution's binaries are installed (a fresh server with fsync off, on
loopback), or at ``--postgres URI``: an empty database, in which tables are made.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa
from pydantic import SecretStr

from include.serving.log import writer as log_writer
from include.serving.log.spool import Spool
from include.serving.log.writer import LogWriter
from include.specs import Platform
from include.store.database import engine_at
from include.store.log_records import PREDICTIONS, PredictionRecord, Record, as_json
from include.store.log_sinks import log_uri, open_sink
from tests.integration.conftest import free_port
from tests.integration.postgres import binaries, postgres_running

FEATURES = as_json({f"f{i}": 0.123456789 * i for i in range(10)} | {"plan": "premium", "city": "Wien"})
OUTPUT = as_json({"label": 1, "probabilities": {"0": 0.31234, "1": 0.68766}})
LIMIT = 1 << 32


def record(number: int) -> PredictionRecord:
    """Return a prediction of twelve features; its line takes some 400 bytes."""
    now = datetime.now(UTC)
    return PredictionRecord(f"{number:032d}", "bench", "3", "champion", now, now, FEATURES, OUTPUT, 1.234)


def append_cost(folder: Path, rows: int) -> dict[str, float]:
    """Return the microseconds of an append: as JSON text that is there already, from dicts, and in batches of 100."""
    features, output = msgspec.json.decode(FEATURES), msgspec.json.decode(OUTPUT)
    spool, records = Spool(folder, LIMIT), [record(number) for number in range(rows)]
    costs: dict[str, list[float]] = {
        "one, JSON text at hand": [],
        "one, encoded from dicts": [],
        "in batches of 100": [],
    }
    for _ in range(5):
        single, encoded, batched = costs.values()
        started = time.thread_time()
        for one in records:
            spool.append([one])
        single.append(time.thread_time() - started)
        started = time.thread_time()
        for one in records:
            one.features, one.output = as_json(features), as_json(output)
            spool.append([one])
        encoded.append(time.thread_time() - started)
        started = time.thread_time()
        for start in range(0, rows, 100):
            spool.append(records[start : start + 100])
        batched.append(time.thread_time() - started)
    spool.close()
    return {name: statistics.median(times) / rows * 1e6 for name, times in costs.items()}


def commit_speed(platform: Platform, folder: Path, rows: int) -> tuple[float, float]:
    """Return rows a second, and microseconds of this process's CPU a row."""
    spool, sink = Spool(folder, LIMIT), open_sink(platform)
    records: list[Record] = [record(number) for number in range(rows)]
    engine_at(log_uri(platform))
    for start in range(0, rows, 100):
        spool.append(records[start : start + 100])
    spool.close()
    writer = LogWriter(folder, sink)
    started, cpu = time.perf_counter(), time.process_time()
    writer.round()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return rows / seconds, cpu / rows * 1e6


def lags(platform: Platform, rate: float, seconds: float) -> tuple[list[float], float]:
    """Return the lag of every record in seconds, sorted, and the share of a core that the log writer's process took."""
    folder = platform.home / "spool"
    spool, engine = Spool(folder, LIMIT), engine_at(log_uri(platform))
    process = log_writer.start(folder)
    assert process is not None
    appended: list[float] = []
    done = threading.Event()

    def append() -> None:
        begin = time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < seconds:
            for _ in range(int(elapsed * rate) - len(appended)):
                spool.append([record(len(appended))])
                appended.append(time.perf_counter())
            time.sleep(0.001)
        done.set()

    spool.append([msgspec.structs.replace(record(0), model="warm-up")])
    while not _rows(engine, "warm-up"):
        time.sleep(0.05)
    before = _cpu_seconds(process.pid)
    threading.Thread(target=append, daemon=True).start()
    found: list[float] = []
    while not done.is_set() or len(found) < len(appended):
        time.sleep(0.01)
        reached, now = _rows(engine, "bench"), time.perf_counter()
        found += [now - at for at in appended[len(found) : reached]]
    share = (_cpu_seconds(process.pid) - before) / seconds
    spool.close()
    process.wait()
    return sorted(found), share


def _rows(engine: sa.Engine, model: str) -> int:
    """Return how many records of ``model`` a reader sees; their ids count from 0."""
    query = sa.select(sa.func.max(PREDICTIONS.c.id)).where(PREDICTIONS.c.model == model)
    with engine.connect() as connection:
        last = connection.execute(query).scalar()
    return 0 if last is None else int(last) + 1


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def databases(postgres: str | None) -> Iterator[dict[str, str]]:
    """Give name → URI of the databases to measure; SQLite's is empty: a file in the home."""
    if postgres:
        yield {"sqlite": "", "postgresql": postgres}
    elif binaries():
        with postgres_running(free_port()) as uri:
            yield {"sqlite": "", "postgresql": uri}
    else:
        yield {"sqlite": ""}


def fresh(folder: Path, uri: str) -> Platform:
    """Return settings with a home of its own, for this process and those that it starts; the tables are empty."""
    os.environ |= {"FACTORY_HOME": str(folder), "FACTORY_SERVING__LOG_URI": uri}
    platform = Platform()
    with engine_at(log_uri(platform)).begin() as connection:
        connection.execute(sa.delete(PREDICTIONS))
    return platform.model_copy(update={"serving": platform.serving.model_copy(update={"log_uri": SecretStr(uri)})})


def main() -> None:
    """Print a line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=6_000, help="records a second while the lag is measured")
    parser.add_argument("--seconds", type=float, default=10, help="how long the lag is measured")
    parser.add_argument("--postgres", help="URI of an empty PostgreSQL database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="factory-log-") as name, databases(options.postgres) as uris:
        for what, cost in append_cost(Path(name) / "append", options.rows).items():
            print(f"append, {what:<24} {cost:7.1f} µs of CPU a record")
        for kind, uri in uris.items():
            platform = fresh(Path(name) / f"commit-{kind}", uri)
            speed, cpu = commit_speed(platform, platform.home / "spool", options.rows)
            print(f"commit, {kind:<24} {speed:7.0f} rows/s, {cpu:.0f} µs of the log writer's CPU a row")
        for kind, uri in uris.items():
            found, share = lags(fresh(Path(name) / f"lag-{kind}", uri), options.rate, options.seconds)
            p50, p99 = (found[int(len(found) * q)] * 1000 for q in (0.5, 0.99))
            shown = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {found[-1] * 1000:.0f} ms"
            rate = len(found) / options.seconds
            print(f"lag, {kind:<15} at {rate:6.0f}/s  {shown}; the log writer takes {share:.0%} of a core")


if __name__ == "__main__":
    main()
