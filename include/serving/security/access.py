"""Who calls, what the caller may do, and how much: API keys, roles and rate limits, held in memory.

The hash of a key is looked up, not its id: whoever guesses learns nothing from how long a refusal takes, for the hash
of a guess says nothing about the guess next to it. A header that was let in is remembered until the next refresh.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import msgspec

from include.serving.errors import ServingError, unavailable
from include.serving.security.limits import Bucket
from include.specs import Platform
from include.store.api_keys import ApiKey, ApiKeyStore, hash_of
from include.store.database import UNAVAILABLE
from include.store.keys import serving_key

log = logging.getLogger(__name__)
ANONYMOUS = "anonymous"
PREDICT, OPERATE = "predict", "operate"
MOST_SEEN = 4096
"""Headers that are remembered; one key may be written in several ways."""
MOST_ADDRESSES = 10_000
RETRY_SECONDS = 0.5
"""How soon keys that have not been read yet are tried again, more and more slowly: requests are refused until then."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: the name of the key, or ``anonymous``; good for logs and metrics.
        roles: what the caller may do.
        limit: the caller's bucket, None without a limit.
        showed_key: whether there was a key in the request at all.
    """

    name: str
    roles: frozenset[str]
    limit: Bucket | None = None
    showed_key: bool = True


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys as of one refresh, and the headers of either kind that they have let in; ``keys`` is None before one."""

    keys: dict[str, ApiKey] | None
    anonymous: Caller | None
    authorizations: dict[str, Caller] = field(default_factory=dict)
    api_keys: dict[str, Caller] = field(default_factory=dict)


class Access:
    """The door of the server. Every request asks it once; it never waits for the database.

    Without any key in the database predictions are open to everyone; the first one closes them. The serving key opens
    everything, always: the factory's own steps use it.
    """

    def __init__(self, platform: Platform) -> None:
        self._settings = platform.serving
        self._store = ApiKeyStore(platform)
        self._snapshot = platform.home / "cache" / "api_keys.json"
        self._serving_key = serving_key(platform).encode()
        self._serving = Caller("serving key", frozenset((PREDICT, OPERATE)))
        self._buckets: dict[str, Bucket] = {}
        self._addresses: dict[str, Bucket] = {}
        self._known = _Known(None, None)
        self._anonymous_rate = platform.serving.anonymous_rate
        self._workers = platform.serving.workers

    # What requests ask

    def caller(self, authorization: str | None, api_key_header: str | None, address: str | None = None) -> Caller:
        """Return who calls, by the values of ``Authorization: Bearer`` and ``X-API-Key`` (the latter comes first).

        Args:
            authorization: the header, None when it was not sent.
            api_key_header: the other header, None when it was not sent.
            address: the client's address, by which callers without a key are limited.

        Raises:
            ServingError: 401 no key, 403 not a valid one, 503 the keys have not been read yet.
        """
        known = self._known
        if api_key_header is not None:
            seen, header = known.api_keys, api_key_header
            found = seen.get(header) or self._look_up(known, header.strip(), seen, header)
        elif authorization is not None:
            seen, header = known.authorizations, authorization
            found = seen.get(header) or self._look_up(known, _token(header), seen, header)
        else:
            found = known.anonymous or _refuse_nobody(known)
        if self._anonymous_rate and found.name == ANONYMOUS:
            return replace(found, limit=self._bucket_at(address or ""))
        return found

    @staticmethod
    def require(caller: Caller, role: str) -> None:
        """Let ``caller`` pass if it has ``role``.

        Raises:
            ServingError: 401 it showed no key, 403 its key has not that role.
        """
        if role not in caller.roles:
            if not caller.showed_key:
                raise _nobody(role)
            raise ServingError(403, "forbidden", f"this key may not do that; it takes one with the role '{role}'")

    @staticmethod
    def admit(caller: Caller, rows: int) -> None:
        """Count ``rows`` against the caller's limit.

        Raises:
            ServingError: 429, which says when to come back.
        """
        if caller.limit is not None:
            caller.limit.take(rows)

    # Keys in memory

    @property
    def ready(self) -> bool:
        """Whether the keys have been read: callers are told apart from then on."""
        return self._known.keys is not None

    def refresh(self) -> None:
        """Read the keys; while the database is away keep the last ones, those on the local disk after a start."""
        try:
            keys = self._store.all()
        except UNAVAILABLE as error:
            if self._known.keys is not None:
                keys = list(self._known.keys.values())  # and forget the headers that were let in: a key may have ended
            elif self._snapshot.is_file():
                log.warning("the API keys are those of %s: the database does not answer", self._snapshot)
                keys = msgspec.json.decode(self._snapshot.read_bytes(), type=list[ApiKey])
            else:
                log.warning("the API keys are not known: the database does not answer (%s)", type(error).__name__)
                return
        else:
            self._keep(keys)
        self._known = self._view(keys)

    async def follow(self) -> None:
        """Take over what changes in the table of keys; runs until cancelled."""
        pause = RETRY_SECONDS
        while True:
            await asyncio.sleep(self._settings.refresh_seconds if self.ready else pause)
            pause = min(2 * pause, self._settings.refresh_seconds)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:
                log.exception("the API keys could not be read; trying again")

    def _view(self, keys: Iterable[ApiKey]) -> _Known:
        by_hash = {key.hash: key for key in keys}
        is_open = not by_hash and not self._settings.require_key
        return _Known(by_hash, Caller(ANONYMOUS, frozenset((PREDICT,)), showed_key=False) if is_open else None)

    def _keep(self, keys: list[ApiKey]) -> None:
        """Keep the hashes on the local disk too, for a start while the database is away."""
        if self._known.keys is not None and list(self._known.keys.values()) == keys:
            return
        self._snapshot.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(f"{self._snapshot}.{os.getpid()}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(msgspec.json.encode(keys))
        temporary.replace(self._snapshot)

    def _look_up(self, known: _Known, key: str, seen: dict[str, Caller], header: str) -> Caller:
        """Return whose key ``key`` is, and remember the header that held it if it is someone's."""
        if not key:
            return known.anonymous or _refuse_nobody(known)
        found = self._owner(known, key)
        if found is None:
            if known.anonymous:
                return Caller(ANONYMOUS, known.anonymous.roles)
            if known.keys is None:
                raise _keys_unknown()
            raise ServingError(403, "forbidden", "this is not a valid key of this server; it may have ended")
        if len(seen) >= MOST_SEEN:
            seen.clear()
        seen[header] = found
        return found

    def _owner(self, known: _Known, shown: str) -> Caller | None:
        if hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._serving_key):
            return self._serving
        digest = hash_of(shown)
        key = (known.keys or {}).get(digest)
        if key is None or not hmac.compare_digest(key.hash, digest) or not key.is_valid(datetime.now(UTC)):
            return None
        return Caller(key.name, frozenset(key.roles), self._bucket_of(key))

    # Limits

    def _bucket_of(self, key: ApiKey) -> Bucket | None:
        """Return the bucket of the key's name, which outlives refreshes and rotation."""
        rate = self._settings.rate if key.rate is None else key.rate
        if not rate:
            return None
        wanted = self._bucket(key.name, rate, self._settings.burst if key.burst is None else key.burst)
        kept = self._buckets.get(key.name)
        if kept is None or (kept.rate, kept.burst) != (wanted.rate, wanted.burst):
            kept = self._buckets[key.name] = wanted
        return kept

    def _bucket_at(self, address: str) -> Bucket:
        """Return the bucket of an address; an IPv6 caller owns its whole /64."""
        if ":" in address:
            address = str(ip_network((address.partition("%")[0], 64), strict=False))
        kept = self._addresses.get(address)
        if kept is None:
            if len(self._addresses) >= MOST_ADDRESSES:
                self._addresses.pop(next(iter(self._addresses)))
            kept = self._bucket(ANONYMOUS, self._anonymous_rate, self._settings.anonymous_burst)
            self._addresses[address] = kept
        return kept

    def _bucket(self, name: str, rate: float, burst: float) -> Bucket:
        """Return a full bucket with this worker's share of a limit."""
        return Bucket(name, rate / self._workers, max(1.0, (burst or rate) / self._workers))


def _token(authorization: str) -> str:
    """Return the token of ``Authorization: Bearer <token>``, or nothing."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _nobody(role: str) -> ServingError:
    message = f"send a key with the role '{role}', as Authorization: Bearer <key> or X-API-Key: <key>"
    return ServingError(401, "unauthorized", message, headers={"www-authenticate": "Bearer"})


def _refuse_nobody(known: _Known) -> Caller:
    """Refuse a request without a key.

    Raises:
        ServingError: always: 401, or 503 while it is not known whether keys are needed.
    """
    if known.keys is None:
        raise _keys_unknown()
    raise _nobody(PREDICT)


def _keys_unknown() -> ServingError:
    return unavailable("the database that keeps the API keys does not answer; try again")
