"""A search that a test kills: ``python -m tests.integration.automl.killed_search <pickled plan>``."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from include.automl.search import search

if __name__ == "__main__":
    plan = pickle.loads(Path(sys.argv[1]).read_bytes())
    search(plan, lambda record: print(record.number, record.state, flush=True))
