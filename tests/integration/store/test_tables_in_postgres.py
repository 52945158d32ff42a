"""The factory's tables in PostgreSQL."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from include.specs import Platform
from tests.unit.store.tables_contract import TablesContract


class TestPostgres(TablesContract):
    @pytest.fixture
    def database(self, platform: Platform, postgres_uri: str) -> Platform:
        return platform.model_copy(update={"database_uri": SecretStr(postgres_uri)})
