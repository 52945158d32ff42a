"""What a step says, line by line, in its task's log."""

from __future__ import annotations

import logging
import re
from typing import Protocol

_LEVEL = re.compile(r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


class _Log(Protocol):
    def log(self, level: int, message: str, /, *arguments: object) -> object: ...


def repeat(line: str, log: _Log) -> None:
    """Write a line of a step into the task's log, at the level that the line begins with."""
    found = _LEVEL.match(line)
    level = logging.getLevelNamesMapping()[found[1]] if found else logging.INFO
    log.log(level, "%s", _LEVEL.sub("", line.rstrip()))
