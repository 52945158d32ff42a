"""Puts the factory's page into Airflow: the application under ``/factory``, and an entry in the navigation."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin


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
