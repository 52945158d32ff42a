"""Whether an address answers with 200: exit code 0 or 1. For containers, which have no curl."""

from __future__ import annotations

import sys
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

if __name__ == "__main__":
    try:
        build_opener(ProxyHandler({})).open(sys.argv[1], timeout=5).close()
    except (URLError, OSError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
