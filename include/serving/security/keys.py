"""Make, list, rotate and revoke API keys: ``python -m include.serving.security.keys create shop --role predict``."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from include.serving.security.access import PREDICT
from include.specs import FactoryError, load_platform
from include.store.api_keys import ROLES, ApiKey, ApiKeyStore


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks for; a new key is printed to the standard output, once."""
    options = _parser().parse_args(arguments)
    try:
        options.do(ApiKeyStore(load_platform()), options)
    except FactoryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _create(store: ApiKeyStore, options: argparse.Namespace) -> None:
    roles = options.role or [PREDICT]
    _hand_over(*store.create(options.name, roles, _end(options.days), options.rate, options.burst))


def _rotate(store: ApiKeyStore, options: argparse.Namespace) -> None:
    _hand_over(*store.rotate(options.name, timedelta(hours=options.grace_hours), _end(options.days)))
    print(f"earlier keys of '{options.name}' end in {options.grace_hours:g} h", file=sys.stderr)


def _revoke(store: ApiKeyStore, options: argparse.Namespace) -> None:
    for key in store.revoke(options.key):
        print(f"{key.id} of '{key.name}' is revoked", file=sys.stderr)


def _list(store: ApiKeyStore, _options: argparse.Namespace) -> None:
    now = datetime.now(UTC)
    row = "{:<10}{:<24}{:<17}{:<9}{:<22}{}".format
    print(row("id", "name", "roles", "state", "ends", "rows/s"))
    for key in store.all():
        ends = key.revoked or key.expires
        rate = "default" if key.rate is None else f"{key.rate:g}" if key.rate else "no limit"
        shown = f"{ends:%Y-%m-%d %H:%M} UTC" if ends else "never"
        print(row(key.id, key.name, ",".join(key.roles), _state(key, now), shown, rate))


def _hand_over(key: str, kept: ApiKey) -> None:
    print(key)
    print(
        f"key {kept.id} of '{kept.name}' ({', '.join(kept.roles)}); keep it well: it is not shown again",
        file=sys.stderr,
    )


def _end(days: float | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) + timedelta(days=days)


def _state(key: ApiKey, now: datetime) -> str:
    return "revoked" if key.revoked else "valid" if key.is_valid(now) else "expired"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.serving.security.keys", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="create|list|rotate|revoke")
    create = commands.add_parser("create", help="make a key for a new caller")
    create.add_argument("name", help="who calls; stands in logs and metrics")
    create.add_argument("--role", action="append", choices=ROLES, help="predict when not given; may be repeated")
    create.add_argument("--rate", type=float, help="rows a second; 0 for no limit, the server's default when not given")
    create.add_argument("--burst", type=float, help="rows at once")
    create.set_defaults(do=_create)
    rotate = commands.add_parser("rotate", help="make a new key for a caller; the earlier ones end a little later")
    rotate.add_argument("name", help="who calls")
    rotate.add_argument("--grace-hours", type=float, default=24.0, help="how long both are valid")
    rotate.set_defaults(do=_rotate)
    for command in (create, rotate):
        command.add_argument("--days", type=float, help="how long the new key is valid; for ever when not given")
    revoke = commands.add_parser("revoke", help="end a key, or all keys of a caller")
    revoke.add_argument("key", help="id or name")
    revoke.set_defaults(do=_revoke)
    commands.add_parser("list", help="show every key that was ever made").set_defaults(do=_list)
    return parser


if __name__ == "__main__":
    sys.exit(main())
