"""A life over PostgreSQL, moto's S3, Redis and an MLflow server with basic auth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import free_port
from tests.integration.life_in_stores import LifeInStores
from tests.integration.s3 import KEYS, moto_running
from tests.integration.stores import Stores


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestMoto(LifeInStores):
    @pytest.fixture(scope="class")
    def stores(self, postgres_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
        folder = tmp_path_factory.mktemp("stores")
        with moto_running(free_port(), folder) as endpoint:
            found = Stores(postgres_uri, endpoint, KEYS, folder)
            try:
                yield found
            finally:
                found.close()
