"""MLflow's logged models: a package on its way into the registry and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.registry.flavour import PACKAGE_PATH, save_mlflow_model
from include.registry.server import MlflowServer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run


def log_model(server: MlflowServer, name: str, package_folder: Path, mlflow_run: str, card: str, scratch: Path) -> str:
    """Log the package as an MLflow model of run ``mlflow_run`` and return the logged model's id.

    What an earlier, broken try of the same run left is removed.
    """
    from mlflow.models import Model

    run = server.ask(lambda client: client.get_run(mlflow_run))
    server.ask(lambda client: _remove_unfinished(client, run))
    logged = server.ask(lambda client: _create(client, name, run))
    description = Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        run_id=mlflow_run,
        model_id=logged.model_id,
    )
    save_mlflow_model(package_folder, scratch, description, card)
    server.ask(lambda client: client.log_model_artifacts(logged.model_id, str(scratch)))
    server.ask(lambda client: _finish(client, logged, run))
    return str(logged.model_id)


def download_package(server: MlflowServer, model: str, number: int, target: Path) -> Path:
    """Download the package of a registered version below ``target`` and return its folder."""

    def download(client: MlflowClient) -> str:
        import mlflow.artifacts

        location = client.get_model_version_download_uri(model, str(number))
        path: str = mlflow.artifacts.download_artifacts(
            artifact_uri=f"{location}/{PACKAGE_PATH}", dst_path=str(target), tracking_uri=server.uri
        )
        return path

    return Path(server.ask(download))


def _create(client: MlflowClient, name: str, run: Run) -> LoggedModel:
    return client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run.info.run_id,
        params=dict(run.data.params),
        tags={"factory.run": run.data.tags.get("factory.run", "")},
    )


def _finish(client: MlflowClient, logged: LoggedModel, run: Run) -> None:
    """Mark the model as ready, and tie it and the run's metrics together."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run.info.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    metrics: list[Any] = [
        Metric(key, value, run.info.start_time, 0, model_id=logged.model_id, run_id=run.info.run_id)
        for key, value in run.data.metrics.items()
        if not key.startswith("system/")
    ]
    client.log_batch(run.info.run_id, metrics=metrics[:800])


def _remove_unfinished(client: MlflowClient, run: Run) -> None:
    from mlflow.entities import LoggedModelStatus

    unfinished = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'"
    )
    for model in unfinished:
        if model.status != LoggedModelStatus.READY:
            client.delete_logged_model(model.model_id)
