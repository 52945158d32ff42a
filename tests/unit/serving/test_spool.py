"""The spool and its writer: nothing that was appended gets lost, whatever dies or is away."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from include.serving.log import writer as log_writer
from include.serving.log.spool import SEGMENT_BYTES, Spool, has_servers, read_progress, sizes
from include.serving.log.writer import REJECTED, LogWriter
from include.serving.observability import metrics
from include.specs import Platform
from include.store.database import UNAVAILABLE, engine_of
from include.store.log_records import LABELS, PREDICTIONS, LabelRecord, PredictionRecord, RewardRecord
from include.store.log_sinks import open_sink
from include.store.prediction_log import PredictionLog

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def prediction(name: str, **changes: object) -> PredictionRecord:
    values = {"version": "1", "variant": "champion", "features": {"plan": "pro"}, "output": {"label": "stays"}}
    values |= {"event_time": NOW, "served_at": NOW, "latency_ms": 1.5, **changes}
    return PredictionRecord(id=name, model="churn", **values)


@pytest.fixture
def folder(platform: Platform) -> Path:
    return platform.home / "spool"


@pytest.fixture
def writer(platform: Platform, folder: Path) -> LogWriter:
    return LogWriter(folder, open_sink(platform))


def ids(platform: Platform) -> list[str]:
    with engine_of(platform).connect() as connection:
        return list(connection.execute(sa.select(PREDICTIONS.c.id).order_by(PREDICTIONS.c.id)).scalars())


def test_records_reach_the_tables_as_they_were(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    features = {"plan": "Ü\u2028\n\r", "age": 10**20, "seen": None, "vip": True}
    spool.append([prediction("p1", features=features), LabelRecord("p1", "churn", "leaves", NOW)])
    writer.round()
    row = PredictionLog(platform).frame("churn").iloc[0]
    assert (row["id"], row["features"], row["label"], row["latency_ms"]) == ("p1", features, "leaves", 1.5)
    assert row["event_time"] == NOW


def test_the_first_record_of_an_id_stands(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    spool.append([prediction("p1", version="1"), prediction("p1", version="2")])
    writer.round()
    spool.append([prediction("p1", version="3")])
    writer.round()
    assert list(PredictionLog(platform).frame("churn")["version"]) == ["1"]


def test_a_segment_is_read_on_where_it_was_left_and_removed_when_complete(
    platform: Platform, folder: Path, writer: LogWriter
) -> None:
    spool = Spool(folder, 1 << 30)
    for number in range(3):
        spool.append([prediction(f"p{number}")])
        writer.round()
        assert ids(platform) == [f"p{i}" for i in range(number + 1)]
    assert len(sizes(folder)) == 1
    spool.close()
    writer.round()
    assert sizes(folder) == {}


def test_a_full_segment_is_followed_by_another(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    filler = {"plan": "x" * (SEGMENT_BYTES // 3)}
    for number in range(6):
        spool.append([prediction(f"p{number}", features=filler)])
    assert len(sizes(folder)) > 1
    spool.sync()
    writer.round()
    assert len(ids(platform)) == 6
    assert len(sizes(folder)) == 1


def test_a_record_larger_than_a_segment_is_kept(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    spool.append([prediction("large", features={"plan": "x" * (3 * SEGMENT_BYTES)}), prediction("next")])
    writer.round()
    assert ids(platform) == ["large", "next"]


def test_what_a_killed_process_wrote_is_recovered_and_its_torn_line_is_not(
    platform: Platform, folder: Path, writer: LogWriter
) -> None:
    script = (
        "import os, signal, sys; sys.path.insert(0, '.')\n"
        "from pathlib import Path; from tests.unit.serving.test_spool import *\n"
        f"spool = Spool(Path({str(folder)!r}), 1 << 30)\n"
        "spool.append([prediction(f'p{i}') for i in range(50)])\n"
        'os.write(spool._descriptor, b\'["prediction", "torn\')\n'
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    writer.round()
    assert len(ids(platform)) == 50
    assert sizes(folder) == {}
    assert not (folder / REJECTED).exists()


def test_the_database_may_be_away(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    spool.append([prediction("before")])
    writer.round()
    database = platform.home / "factory.db"
    engine_of(platform).dispose()
    database.rename(database.with_suffix(".away"))
    database.mkdir()
    spool.append([prediction("meanwhile")])
    with pytest.raises(UNAVAILABLE):
        writer.round()
    database.rmdir()
    database.with_suffix(".away").rename(database)
    engine_of(platform).dispose()
    writer.round()
    assert ids(platform) == ["before", "meanwhile"]


def test_one_unreadable_line_holds_back_nothing(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    spool.append([prediction("p1")])
    os.write(spool._descriptor, b'{"not": "a record"}\n')
    spool.append([prediction("p2")])
    writer.round()
    assert ids(platform) == ["p1", "p2"]
    assert "unreadable" in (folder / REJECTED).read_text()


def test_a_full_spool_drops_counts_and_recovers(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 3 * SEGMENT_BYTES)
    dropped = metrics.REGISTRY.get_sample_value("factory_log_dropped_total") or 0.0
    filler = {"plan": "x" * (SEGMENT_BYTES // 2)}
    positions = [spool.append([prediction(f"p{i}", features=filler)]) for i in range(10)]
    kept = [p for p in positions if p]
    assert 4 <= len(kept) < 10
    assert metrics.REGISTRY.get_sample_value("factory_log_dropped_total") - dropped == 10 - len(kept)
    assert sum(sizes(folder).values()) <= 3 * SEGMENT_BYTES
    writer.round()
    assert spool.append([prediction("after")])
    writer.round()
    assert len(ids(platform)) == len(kept) + 1


def test_a_callers_own_json_text_may_have_line_breaks(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    pretty = msgspec.Raw(b'{\r\n\t"plan": "p\\nro\\u001f",\n "age": 1}')
    spool.append([prediction("p1", features=pretty), prediction("p2")])
    writer.round()
    assert PredictionLog(platform).frame("churn").iloc[0]["features"] == {"plan": "p\nro\x1f", "age": 1}
    assert ids(platform) == ["p1", "p2"]


def test_a_record_that_is_refused_holds_back_nothing(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 1 << 30)
    zoneless = RewardRecord("p3", "churn", "reward", 1.0, datetime(2026, 3, 1))
    spool.append([*(prediction(f"p{i}") for i in range(3)), zoneless, *(prediction(f"p{i}") for i in range(3, 7))])
    writer.round()
    assert ids(platform) == [f"p{i}" for i in range(7)]
    assert (folder / REJECTED).read_text().startswith("churn p3: ")


def test_another_writer_reads_on_where_the_former_was_killed(platform: Platform, folder: Path) -> None:
    spool = Spool(folder, 1 << 30)
    position = spool.append([prediction("p1")])
    LogWriter(folder, open_sink(platform)).round()
    assert read_progress(folder) == dict([position])
    with engine_of(platform).begin() as connection:
        connection.execute(sa.delete(PREDICTIONS))
    spool.append([prediction("p2")])
    LogWriter(folder, open_sink(platform)).round()
    assert ids(platform) == ["p2"]


def test_a_small_spool_goes_on_when_it_is_committed(platform: Platform, folder: Path, writer: LogWriter) -> None:
    spool = Spool(folder, 10_000)
    for number in range(500):
        position = spool.append([prediction(f"p{number:03d}")])
        if position is None:
            spool.sync()
            writer.round()
            time.sleep(0.11)  # the spool measures the room that is left ten times a second
            assert spool.append([prediction(f"p{number:03d}")])
    assert sum(sizes(folder).values()) <= 10_000
    writer.round()
    assert len(ids(platform)) == 500


def test_a_disk_that_takes_half_a_line_costs_that_line_alone(
    platform: Platform, folder: Path, writer: LogWriter
) -> None:
    spool = Spool(folder, 1 << 30)
    spool.append([prediction("p1")])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.position[1] + 40, limits[1]))
    try:
        assert spool.append([prediction("p2")]) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert spool.append([prediction("p3")])
    writer.round()
    assert ids(platform) == ["p1", "p3"]


# The process


def test_one_writer_at_a_time_works_until_the_last_server_is_gone(platform: Platform, folder: Path) -> None:
    first, second = Spool(folder, 1 << 30), Spool(folder, 1 << 30)
    process = log_writer.start(folder)
    assert log_writer.start(folder) is None
    first.append([prediction("p1")])
    first.close()
    while ids(platform) != ["p1"] or len(sizes(folder)) > 1:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)  # a signal to the group must not end it before its servers
    time.sleep(0.2)
    assert process.poll() is None
    second.append([prediction("p2"), LabelRecord("p2", "churn", 1, NOW)])
    second.close()
    assert process.wait(timeout=30) == 0
    assert ids(platform) == ["p1", "p2"]
    assert not has_servers(folder)
    assert sizes(folder) == {}
    with engine_of(platform).connect() as connection:
        assert connection.execute(sa.select(LABELS.c.label)).scalar() == 1


def test_a_killed_writer_leaves_its_lock_to_the_next(platform: Platform, folder: Path) -> None:
    spool = Spool(folder, 1 << 30)
    first = log_writer.start(folder)
    first.kill()
    first.wait()
    second = log_writer.start(folder)
    spool.append([prediction("p1")])
    spool.close()
    assert second.wait(timeout=30) == 0
    assert ids(platform) == ["p1"]
