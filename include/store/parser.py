"""One thread at a time at Python's parser."""

from __future__ import annotations

import threading

PARSER = threading.Lock()
"""Held around ``ast.parse``, and around what reads NumPy's arrays, whose headers are Python literals.

Python 3.11 before 3.11.8 counts the parser's depth for all threads together, and fails with a SystemError where two
parse at once (CPython issue 106905).
"""
