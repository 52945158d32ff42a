"""Start the real server with three models and let the clients of others ask it: ``make test-conformance``.

Each suite runs in an environment of its own (``.venv/conformance/<name>``), made from a lock beside this file; the
server runs in the project's. ``--port`` and ``--grpc-port`` choose the ports, ``SUITE`` names choose suites.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".venv" / "conformance"
SUITES = {
    "tritonclient": ("clients", "test_triton_http.py", "test_triton_grpc.py"),
    "kserve": ("clients", "test_kserve.py", "test_docs.py"),
    "mlserver": ("mlserver", "test_mlserver.py", "test_docs.py"),
    "mlflow": ("", "test_mlflow.py", "test_docs.py"),
    "seldon": ("seldon", "test_seldon.py"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites; return 1 when one of them found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}, schemathesis")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--grpc-port", type=int, default=0)
    options = parser.parse_args(arguments)
    wanted = options.suites or [*SUITES, "schemathesis"]
    failed = []
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        server = _started(Path(folder), options.port, options.grpc_port)
        try:
            for name in wanted:
                print(f"== {name}", flush=True)
                command = (
                    _schemathesis(server.url, server.key["Authorization"])
                    if name == "schemathesis"
                    else _pytest(*SUITES[name])
                )
                if subprocess.run(command, cwd=folder, env=_environment(server), check=False).returncode:
                    failed.append(name)
            broken = [line for line in server.log.read_text(errors="replace").splitlines() if " ERROR " in line]
        finally:
            server.clean_up()
    if broken:
        failed.append("the server's log")
        print("\n".join(broken[:20]))
    print(f"conformance: {'failed: ' + ', '.join(failed) if failed else 'all well'}")
    return 1 if failed else 0


def _started(folder: Path, port: int, grpc_port: int):
    """Return a server with a binary model of mixed columns, a regression and three classes."""
    sys.path.insert(0, str(ROOT))
    os.environ |= {
        "FACTORY_HOME": str(folder / "home"),
        "FACTORY_MODELS_DIR": str(folder / "no_specs"),
        "FACTORY_MLFLOW_URI": "http://127.0.0.1:9",
        "FACTORY_SERVICE_RETRY_SECONDS": "1",
        "FACTORY_SERVING__DEFAULT_MODEL": "house",
    }
    from include.specs import Platform
    from tests.integration.conftest import free_port
    from tests.integration.serving.server import Server
    from tests.model_packages import churn, digits, house, put

    os.environ["FACTORY_SERVING__GRPC_PORT"] = str(grpc_port or free_port())
    server = Server(Platform(), folder / "server.log")
    if port:
        server.port, server.url = port, f"http://127.0.0.1:{port}"
        server.http.base_url = server.url
    for name, package in (("churn", churn()), ("house", house()), ("digits", digits())):
        put(server.platform.home, name, 1, package)
    server.start()
    for name in ("churn", "house", "digits"):
        server.route(name, ("champion", 1, 100)).raise_for_status()
    return server


def _environment(server) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("FACTORY_", "PYTHONPATH"))}
    grpc = f"127.0.0.1:{os.environ['FACTORY_SERVING__GRPC_PORT']}"
    return {
        **plain,
        "CONFORMANCE_URL": server.url,
        "CONFORMANCE_GRPC": grpc,
        "CONFORMANCE_KEY": server.key["Authorization"],
    }


def _program(environment: str, name: str) -> str:
    folder = ENVIRONMENTS / environment if environment else ROOT / ".venv"
    return str(folder / "bin" / name)


def _pytest(environment: str, *files: str) -> list[str]:
    options = ["-q", "-c", os.devnull, "--rootdir", str(HERE), "--confcutdir", str(HERE), "-p", "no:cacheprovider"]
    return [_program(environment, "python"), "-m", "pytest", *options, *(str(HERE / file) for file in files)]


def _schemathesis(url: str, key: str) -> list[str]:
    return [
        _program("schemathesis", "schemathesis"), "--config-file", str(HERE / "schemathesis.toml"),
        "run", f"{url}/openapi.json", "--url", url, "--header", f"Authorization: {key}",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
