"""A search, or its part at one place, that a test kills: ``python -m …killed_search <pickled plan>``."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from include.automl.search import search, take_part

if __name__ == "__main__":
    plan = pickle.loads(Path(sys.argv[1]).read_bytes())
    run = search if plan.place is None else take_part
    run(plan, lambda record: print(record.number, record.state, flush=True))
