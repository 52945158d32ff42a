"""Rows, files and studies on their way: nothing lost, nothing twice, and what differs is seen."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from include.automl.storage import open_storage
from include.migration.files import Files
from include.migration.part import Count, MigrationError
from include.migration.rows import Tables, held, looking_at
from include.migration.studies import Studies
from include.migration.target import read_target
from include.specs import Platform
from include.store.artifacts import ArtifactStore
from include.store.database import UtcDateTime

META = sa.MetaData()
THINGS = sa.Table(
    "things",
    META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String),
    sa.Column("at", UtcDateTime),
    sa.Column("more", sa.JSON),
)


@pytest.fixture
def databases(tmp_path: Path) -> tuple[sa.Engine, sa.Engine]:
    source, target = (sa.create_engine(f"sqlite:///{tmp_path / name}.db") for name in "ab")
    for engine in (source, target):
        META.create_all(engine)
    with source.begin() as connection:
        at = datetime(2026, 3, 2, tzinfo=UTC)
        rows = [{"id": n, "name": f"größe {n}", "at": at, "more": {"b": [n], "a": None}} for n in range(1, 1_203)]
        connection.execute(sa.insert(THINGS), rows)
    return source, target


def test_rows_arrive_once_and_differences_are_seen(databases: tuple[sa.Engine, sa.Engine]) -> None:
    source, target = databases
    tables = Tables(source, target, [THINGS])
    assert tables.compare() == [Count("things", 1_202, 0, False)]
    with target.begin() as connection:  # what a killed move left
        connection.execute(
            sa.insert(THINGS),
            [{"id": 7, "name": "größe 7", "at": datetime(2026, 3, 2, tzinfo=UTC), "more": {"a": None, "b": [7]}}],
        )
    for _ in range(2):
        tables.copy()
        assert tables.compare() == [Count("things", 1_202, 1_202, True)]
    with target.begin() as connection:
        connection.execute(sa.update(THINGS).where(THINGS.c.id == 9).values(name="another"))
    assert tables.compare() == [Count("things", 1_202, 1_202, False)]
    assert held(target, [THINGS]) == {"things": 1_202}


def test_a_row_may_change_on_its_way(databases: tuple[sa.Engine, sa.Engine]) -> None:
    tables = Tables(*databases, [THINGS], lambda table, row: {**row, "name": f"{table} {row['id']}"})
    tables.copy()
    assert tables.compare() == [Count("things", 1_202, 1_202, True)]
    with databases[1].connect() as connection:
        assert connection.scalar(sa.select(THINGS.c.name).where(THINGS.c.id == 3)) == "things 3"


def test_a_database_that_is_not_there_looks_empty() -> None:
    assert held(looking_at("sqlite://"), [THINGS]) == {}


def test_files_arrive_once_manifests_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = (ArtifactStore((tmp_path / name).as_uri()) for name in "ab")
    for name in ("runs/m/r/s/a.txt", "runs/m/r/s/result.json", "snapshots/m/x/data.parquet"):
        source.write_bytes(name, name.encode())
    target.write_bytes("runs/m/r/s/a.txt", b"half")  # what a killed move left
    order: list[str] = []
    upload = target.upload
    monkeypatch.setattr(target, "upload", lambda file, name: (order.append(name), upload(file, name)))
    files = Files("artifacts", source, target, last="result.json")
    assert files.foreign() == f"1 files at {target.uri}"
    files.copy()
    assert order[-1] == "runs/m/r/s/result.json" and len(order) == 3
    files.copy()
    assert len(order) == 3
    assert files.compare() == [Count("runs", 2, 2, True), Count("snapshots", 1, 1, True)]
    target.write_bytes("runs/extra", b"x")
    assert files.compare()[0] == Count("runs", 2, 3, False)


def test_studies_arrive_whole_and_half_of_one_is_begun_again(tmp_path: Path) -> None:
    import optuna

    source = Platform(home=tmp_path / "home")
    uri = f"sqlite:///{tmp_path / 'optuna.db'}"
    target = source.model_copy(update={"optuna_uri": SecretStr(uri)})
    ours = open_storage(str(source.home / "optuna" / "m" / "one.log"))
    study = optuna.create_study(study_name="m.one", storage=ours, direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    study.set_user_attr("spent", 3.0)
    studies = Studies(source, target)
    assert studies.foreign() == "" and studies.compare() == [Count("m.one", 4, 0, False)]
    studies.prepare()
    half = optuna.create_study(study_name="m.one", storage=uri, direction="maximize")
    half.add_trial(study.trials[0])
    assert studies.compare() == [Count("m.one", 4, 1, False)]
    for _ in range(2):
        studies.copy()
        assert studies.compare() == [Count("m.one", 4, 4, True)]
    assert optuna.load_study(study_name="m.one", storage=uri).best_value == study.best_value


def test_settings_without_a_store_are_refused(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.delenv("MLFLOW_BACKEND_STORE_URI", raising=False)
    (tmp_path / "x.env").write_text("FACTORY_DATABASE_URI=postgresql://me:hunter2@db/factory\n")
    with pytest.raises(MigrationError) as refused:
        read_target(tmp_path / "x.env")
    for name in (
        "FACTORY_ARTIFACTS_URI",
        "FACTORY_OPTUNA_URI",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_ARTIFACTS_DESTINATION",
    ):
        assert name in str(refused.value)
    assert "FACTORY_DATABASE_URI" not in str(refused.value) and "hunter2" not in str(refused.value)
