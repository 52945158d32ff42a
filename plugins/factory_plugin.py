"""Puts the factory's page into Airflow: the application under ``/factory``, and an entry in the navigation.

Where steps run in pods it also imports what their tasks need before Airflow forks them: see :func:`import_ahead`.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

FORKING = {"scheduler", "dag-processor"}
POD_OPERATOR = "airflow.providers.cncf.kubernetes.operators.pod"


def import_ahead() -> None:
    """Import the pod operator with its Kubernetes clients in a process that forks: a second of CPU, once.

    The local executor forks its workers from the scheduler, the DAG processor one process for each file that it reads;
    without this each of them imports the clients again. Nothing of the factory itself is imported: forks shall see
    its newest code. Needs ``[core] lazy_load_plugins = False``, else Airflow reads this file in the forks only.
    """
    if os.environ.get("FACTORY_RUNTIME") == "kubernetes" and FORKING.intersection(sys.argv[1:2]):
        importlib.import_module(POD_OPERATOR)


import_ahead()


class LazyApp:
    """The page's application, imported at the first request: workers load this plugin too, and never serve a page."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        if self._app is None:
            from include.workflow.page.app import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


class FactoryPlugin(AirflowPlugin):
    """What Airflow loads from this file."""

    name = "model_factory"
    fastapi_apps: ClassVar[list[Any]] = [{"app": LazyApp(), "url_prefix": "/factory", "name": "Model factory"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "Factory", "href": "/factory/", "destination": "nav", "nav_top_level": True}
    ]
