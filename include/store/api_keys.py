"""API keys of the model server: what a caller shows, of which the database keeps the hash alone.

A key is ``mf_<id>_<secret>``. Its secret has 192 random bits: nobody finds it by trying, so one SHA-256 protects it as
well as a slow password hash would, and costs a request a microsecond instead of a tenth of a second.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from include.specs.errors import FactoryError, did_you_mean
from include.specs.platform import Platform
from include.store.database import METADATA, UtcDateTime, engine_of

ROLES = ("predict", "operate")
SECRET_BYTES = 24
MAX_NAME = 63
RESERVED = ("anonymous", "serving key")
"""What callers without an API key are called in logs and metrics."""

KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(MAX_NAME), nullable=False, index=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("expires", UtcDateTime),
    sa.Column("revoked", UtcDateTime),
    sa.Column("rate", sa.Float),
    sa.Column("burst", sa.Float),
)


@dataclass(frozen=True)
class ApiKey:
    """What is kept of one key; several of one name are valid at once while it is rotated.

    Attributes:
        id: public part, by which people speak of the key.
        name: who calls; keys of one name share a rate limit.
        hash: SHA-256 of the whole key, as hexadecimal digits.
        roles: of `ROLES`; none includes another.
        rate: rows a second; None for the server's default, 0 for no limit.
        burst: rows at once; None for the server's default.
    """

    id: str
    name: str
    hash: str
    roles: tuple[str, ...]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    rate: float | None = None
    burst: float | None = None

    def is_valid(self, now: datetime) -> bool:
        """Tell whether the key opens anything at ``now``."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def hash_of(key: str) -> str:
    """Return what the database keeps of ``key``."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class ApiKeyStore:
    """The table of API keys. Rows are never removed: that a key was revoked stays known."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def _engine(self) -> sa.Engine:
        return engine_of(self._platform)

    def all(self) -> list[ApiKey]:
        """Return every key that was ever made, oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(KEYS).order_by(KEYS.c.created, KEYS.c.id)).mappings().all()
        return [ApiKey(**{**row, "roles": tuple(row["roles"])}) for row in rows]

    def create(
        self,
        name: str,
        roles: Iterable[str],
        expires: datetime | None = None,
        rate: float | None = None,
        burst: float | None = None,
    ) -> tuple[str, ApiKey]:
        """Make a key and return it, for the only time, with what is kept of it.

        Raises:
            FactoryError: the name, a role or a limit is wrong, or the name is taken by a valid key.
        """
        kept = tuple(sorted(set(roles)))
        _check(name, kept, expires, rate, burst)
        if self._valid(name):
            raise FactoryError(f"there is a valid key named '{name}'; rotate it, or choose another name")
        return self._insert(name, kept, expires, rate, burst)

    def rotate(
        self, name: str, grace: timedelta = timedelta(days=1), expires: datetime | None = None
    ) -> tuple[str, ApiKey]:
        """Make a new key with the name, roles and limits of the valid ones, which end after ``grace``.

        Raises:
            FactoryError: no valid key has this name.
        """
        valid = self._valid(name)
        if not valid:
            raise FactoryError(f"no valid key is named '{name}'; {did_you_mean(name, self._names())}")
        newest, end = valid[-1], datetime.now(UTC) + grace
        made = self._insert(name, newest.roles, expires, newest.rate, newest.burst)
        earlier = sa.or_(KEYS.c.expires.is_(None), KEYS.c.expires > end)
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(KEYS).where(KEYS.c.id.in_([key.id for key in valid]), earlier).values(expires=end)
            )
        return made

    def revoke(self, name_or_id: str) -> list[ApiKey]:
        """End the key with this id, or every valid key of this name, and return what was ended.

        Raises:
            FactoryError: no valid key is called so.
        """
        now = datetime.now(UTC)
        ended = [key for key in self.all() if name_or_id in (key.id, key.name) and key.is_valid(now)]
        if not ended:
            raise FactoryError(f"no valid key is called '{name_or_id}'; {did_you_mean(name_or_id, self._names())}")
        with self._engine.begin() as connection:
            connection.execute(sa.update(KEYS).where(KEYS.c.id.in_([key.id for key in ended])).values(revoked=now))
        return [replace(key, revoked=now) for key in ended]

    def _valid(self, name: str) -> list[ApiKey]:
        now = datetime.now(UTC)
        return [key for key in self.all() if key.name == name and key.is_valid(now)]

    def _names(self) -> set[str]:
        return {key.name for key in self.all()}

    def _insert(
        self, name: str, roles: tuple[str, ...], expires: datetime | None, rate: float | None, burst: float | None
    ) -> tuple[str, ApiKey]:
        public = secrets.token_hex(4)
        key = f"mf_{public}_{secrets.token_urlsafe(SECRET_BYTES)}"
        kept = ApiKey(public, name, hash_of(key), roles, datetime.now(UTC), expires, None, rate, burst)
        with self._engine.begin() as connection:
            connection.execute(sa.insert(KEYS).values(**{**vars(kept), "roles": list(roles)}))
        return key, kept


def _check(
    name: str, roles: tuple[str, ...], expires: datetime | None, rate: float | None, burst: float | None
) -> None:
    """Refuse what no key can have."""
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME:
        raise FactoryError(f"a key's name is 1 to {MAX_NAME} printable characters; choose another one")
    if name in RESERVED:
        raise FactoryError(f"the name '{name}' is taken by the server itself; choose another one")
    if not roles:
        raise FactoryError(f"a key without a role opens nothing; give at least one of {', '.join(ROLES)}")
    for role in roles:
        if role not in ROLES:
            raise FactoryError(f"there is no role '{role}'; {did_you_mean(role, ROLES)}")
    if expires is not None and expires <= datetime.now(UTC):
        raise FactoryError(f"the key would have expired already ({expires.isoformat()}); give a later time")
    if (rate is not None and rate < 0) or (burst is not None and burst < 1):
        raise FactoryError("a rate is at least 0 rows a second (0: no limit), and a burst at least 1 row")
