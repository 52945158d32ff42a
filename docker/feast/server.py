"""Apply the feature repository's definitions, then become Feast's server: ``server.py serve`` or ``server.py ui``."""

from __future__ import annotations

import os
import sys

from include.specs import FactoryError, load_platform
from include.store.feature_store import apply_definitions, environment, repo_folder

COMMANDS = {
    "serve": ["serve", "--host", "0.0.0.0", "--port", "6566", "--no-access-log"],  # noqa: S104 - in a container
    "ui": ["ui", "--host", "0.0.0.0", "--port", "8888"],  # noqa: S104
}


def main(command: str) -> None:
    """Become the server; a registry that refuses the definitions ends it with a message."""
    platform = load_platform()
    try:
        apply_definitions(platform)
    except FactoryError as error:
        sys.exit(f"failed: {error}")
    folder = str(repo_folder(platform.feast.repo))
    feast = [sys.executable, "-c", "from feast.cli.cli import cli; cli()", "-c", folder, *COMMANDS[command]]
    os.execve(sys.executable, feast, {**os.environ, **environment(platform)})  # noqa: S606 - it becomes the server


if __name__ == "__main__":
    main(sys.argv[1])
