"""Servers for the tests under load; what each fault cost stands in one table at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.specs import load_platform
from tests.integration.serving.conftest import serve  # noqa: F401 - a fixture
from tests.integration.serving.server import Server
from tests.load.under_load import HEAD, TOLD, Loaded, calm_answers
from tests.model_packages import churn, put


@pytest.fixture
def loaded(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loaded]:  # noqa: F811
    """Return a maker of servers; its arguments are variables of their environment."""

    def make(**environment: str) -> Loaded:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        load_platform.cache_clear()
        platform = load_platform()
        for number in (1, 2):
            put(platform.home, "churn", number, churn(number))
        server = serve(platform).start()
        server.route("churn", ("champion", 1, 100), ("challenger", 2, 0)).raise_for_status()
        return Loaded(server, platform, {version: calm_answers(server, version) for version in ("1", "2")})

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each fault cost."""
    if TOLD:
        terminalreporter.section("faults under full load")
        widths = [max(map(len, column)) for column in zip(HEAD, *TOLD, strict=True)]
        for row in (HEAD, *TOLD):
            terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
