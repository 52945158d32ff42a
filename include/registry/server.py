"""The MLflow server: one way to ask it anything, which bears with a server that is away for a while."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from include.specs.errors import FactoryError
from include.specs.platform import Platform
from include.store.mlflow_access import shown_uri
from include.store.retry import keep_trying

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # `MlflowServer.ask` retries, with a message at the end
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # printing it costs two more requests
    "MLFLOW_UV_AUTO_DETECT": "false",
}
"""What MLflow's client reads when it is imported; what the operator set stands."""
_AWAY = ("TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED")
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")
_LOGIN = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user who may read and write experiments and models"
)


class MlflowError(FactoryError):
    """MLflow refused a request; asking again would not help."""


class NotInMlflowError(MlflowError):
    """MLflow has no such run, model, version or alias."""


class _AwayError(Exception):
    """The server did not answer, or answered that it cannot now."""


class MlflowServer:
    """The platform's MLflow server."""

    def __init__(self, platform: Platform) -> None:
        self.uri = platform.mlflow_uri.rstrip("/")
        self.shown = shown_uri(platform)
        """The address without a user or a password: for links and messages."""
        self._patience = platform.service_retry_seconds

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's own client."""
        prepare_environment()
        from mlflow import MlflowClient

        _leave_feast_out()

        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def ask(self, call: Callable[[MlflowClient], T]) -> T:
        """Return ``call(client)``; while the server is away the call is made again, so it must bear repeating.

        Raises:
            TemporarilyUnavailableError: the server stayed away.
            NotInMlflowError: it has no such thing.
            MlflowError: it refused.
        """
        client = self.client
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException

        def attempt() -> T:
            try:
                return call(client)
            except RequestException as error:
                raise _AwayError(_cause(self._redacted(error))) from error
            except MlflowException as error:
                if _is_away(error):
                    raise _AwayError(_cause(self._redacted(error))) from error
                raise

        try:
            return keep_trying(
                attempt,
                f"MLflow at {self.shown}",
                self._patience,
                (_AwayError,),
                "start it ('make start' for the embedded one) or correct FACTORY_MLFLOW_URI, then run the step again",
            )
        except MlflowException as error:
            if error.error_code in _REFUSED:
                raise MlflowError(f"MLflow at {self.shown} does not let this user in; {_LOGIN}") from error
            kind = NotInMlflowError if error.error_code in _ABSENT else MlflowError
            raise kind(f"MLflow at {self.shown} refused: {self._redacted(error)}") from error

    def page(self, path: str) -> str:
        """Return the URL of a page of MLflow's UI, such as ``models/churn/versions/3``."""
        return f"{self.shown}/#/{path}"

    def _redacted(self, error: Exception) -> str:
        return str(error).replace(self.uri, self.shown)


def prepare_environment() -> None:
    """Set what MLflow reads from the environment, before it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _cause(message: str) -> str:
    """Return the end of urllib3's nested message, such as "[Errno 111] Connection refused"; others as they are."""
    return message.rpartition(": ")[2].strip("'\")") if "Caused by" in message else message


def _leave_feast_out() -> None:
    """Keep Feast's header provider out of MLflow's requests: loading it imports all of Feast, for seconds."""
    from mlflow.utils import plugins

    every = plugins._get_entry_points
    plugins._get_entry_points = lambda group: [e for e in every(group) if not e.value.startswith("feast.")]
    try:
        import mlflow.tracking.request_header.registry  # noqa: F401 - it loads the providers when it is imported
    finally:
        plugins._get_entry_points = every


def _is_away(error: Any) -> bool:
    """Tell an absent or overloaded server from one that refuses."""
    from mlflow.exceptions import RestException
    from requests.exceptions import RequestException

    if isinstance(error.__cause__ or error.__context__, RequestException):
        return True
    answered_500 = isinstance(error, RestException) and error.error_code == "INTERNAL_ERROR"
    return answered_500 or error.error_code in _AWAY
