"""What a person is told whose environment holds no engine."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from include.engines.errors import EngineError
from include.engines.ray_cluster import connect
from include.engines.spark_session import spark_session
from include.specs import Platform


def ray(platform: Platform) -> None:
    connect(platform.ray_address)


def spark(platform: Platform) -> None:
    with spark_session(platform, "test"):
        pass


@pytest.mark.parametrize(("start", "package"), [(ray, "ray"), (spark, "pyspark")])
def test_a_missing_package_is_named_with_its_lock(
    platform: Platform, start: Callable[[Platform], None], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as where it is not installed
    with pytest.raises(EngineError, match=rf"engine '{start.__name__}' asks for {package}.*requirements-engines\.txt"):
        start(platform)
