"""One model from its data to the registry with nothing on this machine: where each byte ends, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import redis
import sqlalchemy as sa

from include.features.feast_files import feature_tables, write_feature_files
from include.features.feast_tables import offline_database, write_tables
from include.registry.models import Change, Registry
from include.registry.server import MlflowError
from include.serving.models.fetch import champion_number
from include.specs import Platform, load_platform
from include.steps.kernel import Call, execute
from include.store.online import OnlineFeatures
from include.workflow.page.versions import read_versions
from tests.integration.migration.life import (
    FIRST_WEEK,
    MODEL,
    PARAMS,
    PER_WEEK,
    SHOP,
    TRAINING,
    WEEKS,
    materialise,
    step,
    train,
    write_records,
    write_specs,
)
from tests.integration.stores import PASSWORD, Stores, clean_environment

RUN = "automl_pipeline.stores"


class LifeInStores:
    """Inherit it, and give the fixture ``stores``, of the scope of the class."""

    @pytest.fixture(scope="class")
    def lived(self, stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
        """Return the platform of a factory that trained, registered and promoted a version."""
        folder = tmp_path_factory.mktemp("lived")
        write_specs(folder / "models", folder / "data")
        stores.start_mlflow()
        with pytest.MonkeyPatch.context() as patch:
            clean_environment(patch)
            for name, value in {
                **{name: value for name, value in stores.settings.items() if not name.startswith("MLFLOW_BACKEND")},
                "FACTORY_HOME": str(folder / "home"),
                "FACTORY_MODELS_DIR": str(folder / "models"),
                "FACTORY_SERVICE_RETRY_SECONDS": "20",
            }.items():
                patch.setenv(name, value)
            load_platform.cache_clear()
            platform = load_platform()
            for name in TRAINING:  # each as on a machine of its own
                patch.setenv("FACTORY_HOME", str(folder / "homes" / name))
                load_platform.cache_clear()
                step(load_platform(), name, MODEL, RUN, **PARAMS)
            patch.setenv("FACTORY_HOME", str(folder / "home"))
            load_platform.cache_clear()
            Registry(platform).promote(MODEL, 1, Change("first release", "model_deployment.stores"))
            write_records(platform)
            database = offline_database(platform)
            assert database is not None
            write_tables(database, feature_tables(FIRST_WEEK, WEEKS, PER_WEEK))
            write_feature_files(folder / "data", FIRST_WEEK, WEEKS, PER_WEEK)
            materialise(platform)
            yield load_platform()
        load_platform.cache_clear()

    def test_artifacts_are_in_the_bucket_and_nowhere_else(self, lived: Platform, stores: Stores) -> None:
        client = boto3.session.Session().client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=stores.bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        results = {
            key.split("/")[-2]
            for key in keys
            if key.startswith(f"factory/runs/{MODEL}/{RUN}/") and key.endswith("result.json")
        }
        assert results == set(TRAINING)
        assert any(key.startswith(f"factory/snapshots/{MODEL}/") and key.endswith("data.parquet") for key in keys)
        assert any(key.startswith("mlflow/") and key.endswith("model.skops") for key in keys)
        homes = [lived.home, *(lived.home.parent / "homes").iterdir()]
        files = {file.relative_to(home).parts[0] for home in homes for file in home.rglob("*") if file.is_file()}
        assert files <= {"cache", "feast", "optuna", "locks"}, files
        assert not [file for home in homes for file in home.rglob("*.db")]
        assert not [file for home in homes for file in (home / "optuna").rglob("*") if file.is_file()]

    def test_tables_are_in_postgres(self, lived: Platform, stores: Stores) -> None:
        for name, query, least in (
            ("FACTORY_DATABASE_URI", "SELECT count(*) FROM predictions", 1_200),
            ("FACTORY_OPTUNA_URI", "SELECT count(*) FROM trials", 2),
            ("MLFLOW_BACKEND_STORE_URI", "SELECT count(*) FROM model_versions", 1),
        ):
            with sa.create_engine(stores.settings[name], poolclass=sa.NullPool).connect() as connection:
                assert connection.scalar(sa.text(query)) >= least, name
        host, port = stores.redis.split(":")
        assert redis.Redis(host, int(port)).dbsize() > 0
        found = OnlineFeatures(lived).lookup("churn_v1", [{"customer_id": "c030-00001"}])
        assert found[0]["plan"]

    def test_training_rows_come_from_the_offline_store(self, lived: Platform) -> None:
        result = step(lived, "snapshot", SHOP, "automl_pipeline.shop")
        assert result.values["rows"] == WEEKS * PER_WEEK

    def test_every_way_to_mlflow_names_the_user(self, lived: Platform) -> None:
        assert champion_number(lived, MODEL) == "1"
        versions = asyncio.run(read_versions(lived))
        assert versions is not None and versions[MODEL].champion == "1"
        assert Registry(lived).package(Registry(lived).require(MODEL, 1)).manifest.model == MODEL

    def test_a_wrong_password_of_mlflow_is_told(self, lived: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2-hunter2")
        with pytest.raises(MlflowError, match="MLFLOW_TRACKING_USERNAME") as refused:
            Registry(lived).get(MODEL, 1)
        assert "hunter2" not in str(refused.value)

    def test_a_bucket_that_is_gone_fails_a_step_with_what_to_do(self, lived: Platform) -> None:
        gone = lived.model_copy(update={"artifacts_uri": "s3://factory-is-gone/x"})
        with pytest.raises(Exception, match="there is no such bucket; make it"):
            execute(Call("snapshot", "snapshot", MODEL, "automl_pipeline", "automl_pipeline.gone", {}), gone)

    def test_no_secret_is_written_down(self, lived: Platform, stores: Stores) -> None:
        client = boto3.session.Session().client("s3")
        secrets = {PASSWORD, stores.settings["AWS_SECRET_ACCESS_KEY"]}
        secrets.add(str(sa.make_url(stores.settings["FACTORY_DATABASE_URI"]).password))
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=stores.bucket)
        for key in [one["Key"] for page in pages for one in page.get("Contents", ())]:
            content = client.get_object(Bucket=stores.bucket, Key=key)["Body"].read()
            assert not [secret for secret in secrets if secret.encode() in content], key
        for file in Path(lived.home).rglob("*"):
            if file.is_file():
                assert not [secret for secret in secrets if secret.encode() in file.read_bytes()], file

    def test_another_run_registers_the_next_version(self, lived: Platform) -> None:
        train(lived, "automl_pipeline.next")
        assert [one.number for one in Registry(lived).versions(MODEL)] == [2, 1]
        gate = json.loads(
            boto3.session.Session()
            .client("s3")
            .get_object(
                Bucket=lived.artifacts_uri.split("/")[2],
                Key=f"factory/runs/{MODEL}/automl_pipeline.next/gate/result.json",
            )["Body"]
            .read()
        )
        assert gate["values"]["champion"] == 1
