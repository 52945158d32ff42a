"""What a server waits for before it takes requests."""

from __future__ import annotations

import asyncio

import pytest

from include.serving.security.access import Access
from include.serving.server import ModelServer
from include.specs import Platform, TemporarilyUnavailableError
from include.store.api_keys import ApiKey, ApiKeyStore


def test_keys_that_could_not_be_read_are_tried_again_soon(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    rarely = platform.serving.model_copy(update={"refresh_seconds": 3600.0})
    access = Access(platform.model_copy(update={"serving": rarely}))
    with monkeypatch.context() as away:
        away.setattr(ApiKeyStore, "all", _away)
        access.refresh()
    assert not access.ready

    async def follow() -> None:
        following = asyncio.create_task(access.follow())
        async with asyncio.timeout(60):
            while not access.ready:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.05)
        following.cancel()

    asyncio.run(follow())
    assert access.caller(None, None).name == "anonymous"


def test_a_worker_waits_for_the_keys_too(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start() -> None:
        server = ModelServer(platform)
        monkeypatch.setattr(server.host, "ready", True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.until_ready(60), 0.2)
        server.access.refresh()
        await asyncio.wait_for(server.until_ready(60), 30)
        await server.stop()

    asyncio.run(start())


def _away(_store: ApiKeyStore) -> list[ApiKey]:
    raise TemporarilyUnavailableError("the database does not answer")
