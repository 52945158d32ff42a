"""The memory that a search may use, of the machine or of its container, and what becomes of a trial that wants more."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from include.automl.memory import SHARE, bound_bytes, free_bytes, used_bytes


@pytest.mark.parametrize(
    ("bound", "used", "expected"),
    [("1000", "400", 600), ("1000", "1400", 0), ("max", "400", None)],
)
def test_a_container_has_no_more_than_its_bound(tmp_path: Path, bound: str, used: str, expected: int | None) -> None:
    (tmp_path / "memory.max").write_text(bound)
    (tmp_path / "memory.current").write_text(used)
    found = free_bytes(tmp_path)
    assert found > 10**6 if expected is None else found == expected


def test_without_a_container_it_is_the_machines(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_spec_says_how_much_or_a_share_of_what_is_free_is_taken() -> None:
    assert bound_bytes(1.5) == 3 * 2**29
    assert bound_bytes(None) == pytest.approx(SHARE * free_bytes(), rel=0.2)


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert used_bytes(2**22 - 3) == 0
    assert used_bytes(psutil.Process().pid) > 10**6
