"""The embedded stack from the command line: ``python -m include.local run|life|start|stop|status``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from rich.console import Console

from include.specs import ROOT, FactoryError, load_platform, load_spec


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0 on success, 1 with a message on failure."""
    parser = argparse.ArgumentParser(prog="python -m include.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start the stack and run the whole life of a model")
    run.add_argument("model")
    life = commands.add_parser("life", help="run the whole life of a model on the stack that the settings name")
    life.add_argument("model")
    commands.add_parser("start", help="start the stack")
    commands.add_parser("stop", help="stop the stack")
    commands.add_parser("status", help="say what runs")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    try:
        if options.command == "run":
            return _run(options.model, console)
        if options.command == "life":
            return _live(options.model, console, time.monotonic(), *_login())
        return _operate(options.command, console)
    except FactoryError as error:
        console.print(f"[bold red]failed:[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; the stack stays up, `make run` goes on and `make stop` ends it")
        return 130


def _operate(command: str, console: Console) -> int:
    from include.local.stack import Stack

    stack = Stack(load_platform())
    if command == "status":
        console.print(stack.status(), end="", highlight=False)
    elif command == "stop":
        console.print("stopped" if stack.stop() else "nothing ran")
    else:
        stack.up(lambda text: console.print(f"  {text}", highlight=False))
        _say_login(console)
    return 0


def _say_login(console: Console) -> None:
    from include.local.environment import ADMIN, stack_secrets

    platform = load_platform()
    password = stack_secrets(platform)["airflow_password"]
    console.print(f"  Airflow: {platform.airflow_url} (user {ADMIN}, password {password})", highlight=False)


def _run(model: str, console: Console) -> int:
    from include.local.environment import ADMIN, stack_secrets
    from include.local.stack import Stack

    platform = load_platform()
    console.print(f"[bold cyan]Check[/] {model}: the spec against its data and platform")
    if subprocess.run([sys.executable, "-m", "include.steps.check", model], cwd=ROOT).returncode:
        return 1
    console.print("\n[bold cyan]Stack[/]")
    began = time.monotonic()
    Stack(platform).up(lambda text: console.print(f"  {text}", highlight=False))
    _say_login(console)
    return _live(model, console, began, ADMIN, stack_secrets(platform)["airflow_password"])


def _live(model: str, console: Console, began: float, user: str, password: str) -> int:
    """Run the whole life of a model on a stack that is up."""
    from include.local.airflow_api import AirflowApi
    from include.local.life import Life
    from include.local.summary import print_summary

    spec, platform = load_spec(model), load_platform()
    life = Life(spec, platform, AirflowApi(platform.airflow_url, user, password), console)
    ending = life.live()
    print_summary(life, ending, time.monotonic() - began)
    return 0


def _login() -> tuple[str, str]:
    """Return user and password of the Airflow that ``airflow_url`` names."""
    platform = load_platform()
    password = platform.airflow_password.get_secret_value()
    if not password:
        raise FactoryError(
            "FACTORY_AIRFLOW_PASSWORD is not set; set it and FACTORY_AIRFLOW_USER to who may trigger runs at "
            f"{platform.airflow_url}"
        )
    return platform.airflow_user, password


if __name__ == "__main__":
    sys.exit(main())
