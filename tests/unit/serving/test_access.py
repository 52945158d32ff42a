"""Keys, roles and limits as the server holds them in memory."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.serving.errors import ServingError
from include.serving.security import keys, limits
from include.serving.security.access import Access
from include.serving.security.limits import Bucket
from include.specs import FactoryError, Platform, load_platform
from include.store.api_keys import KEYS, ApiKeyStore, hash_of
from include.store.database import engine_of
from include.store.keys import serving_key


@pytest.fixture
def store(platform: Platform) -> ApiKeyStore:
    return ApiKeyStore(platform)


def opened(platform: Platform, **settings: object) -> Access:
    """Return a door that has read the keys, with other settings."""
    serving = platform.serving.model_copy(update=settings)
    access = Access(platform.model_copy(update={"serving": serving}))
    access.refresh()
    return access


def refused(access: Access, authorization: str | None = None, key: str | None = None, role: str = "predict") -> int:
    with pytest.raises(ServingError) as caught:
        access.require(access.caller(authorization, key), role)
    return caught.value.status


def test_without_keys_everyone_may_predict_and_only_the_serving_key_operates(platform: Platform) -> None:
    access = opened(platform)
    for sent in ((None, None), ("Bearer junk", None), ("Basic eDp5", None), (None, "junk")):
        caller = access.caller(*sent)
        access.require(caller, "predict")
        assert caller.name == "anonymous"
    assert refused(access, role="operate") == 401
    assert refused(access, "Basic eDp5", role="operate") == 401
    assert refused(access, "Bearer junk", role="operate") == 403
    for sent in ((f"Bearer {serving_key(platform)}", None), (None, serving_key(platform))):
        access.require(access.caller(*sent), "operate")


def test_the_first_key_closes_the_door(platform: Platform, store: ApiKeyStore) -> None:
    access = opened(platform)
    key, _ = store.create("shop", ["predict"])
    access.refresh()
    assert refused(access) == 401
    assert refused(access, "Bearer junk") == 403
    assert refused(access, "Bearer ") == 401
    assert refused(access, None, "") == 401
    assert access.caller(f"bearer  {key} ", None).name == "shop"
    assert access.caller(None, key).name == "shop"
    assert refused(access, key) == 401, "a key is no Authorization of its own, known or not"
    caller = access.caller("Bearer junk", key)
    assert (caller.name, caller.roles) == ("shop", {"predict"})
    assert refused(access, None, key, role="operate") == 403
    access.require(access.caller(f"Bearer {serving_key(platform)}", None), "predict")


def test_a_key_may_be_asked_for_before_there_is_one(platform: Platform) -> None:
    assert refused(opened(platform, require_key=True)) == 401


def test_a_role_implies_no_other(platform: Platform, store: ApiKeyStore) -> None:
    operator, _ = store.create("release", ["operate"])
    both, _ = store.create("admin", ["operate", "predict"])
    access = opened(platform)
    assert refused(access, None, operator) == 403
    access.require(access.caller(None, operator), "operate")
    for role in ("operate", "predict"):
        access.require(access.caller(None, both), role)


def test_a_revoked_or_ended_key_opens_nothing_after_a_refresh(platform: Platform, store: ApiKeyStore) -> None:
    key, kept = store.create("shop", ["predict"])
    access = opened(platform)
    assert access.caller(None, key).name == "shop"
    store.revoke("shop")
    access.refresh()
    assert refused(access, None, key) == 403
    assert refused(access) == 401, "a table of ended keys is not an open door"
    with engine_of(platform).begin() as connection:
        ended = datetime.now(UTC) - timedelta(seconds=1)
        connection.execute(sa.update(KEYS).where(KEYS.c.id == kept.id).values(revoked=None, expires=ended))
    access.refresh()
    assert refused(access, None, key) == 403


def test_while_a_key_is_rotated_both_are_valid_and_share_one_limit(platform: Platform, store: ApiKeyStore) -> None:
    old, _ = store.create("shop", ["predict"], rate=1, burst=5)
    new, kept = store.rotate("shop", grace=timedelta(hours=1))
    access = opened(platform)
    assert access.caller(None, old).limit is access.caller(None, new).limit
    assert (kept.rate, kept.burst, kept.roles) == (1, 5, ("predict",))
    ends = {key.id: key.expires for key in store.all()}
    assert ends.pop(kept.id) is None
    (end,) = ends.values()
    assert end is not None
    assert timedelta(minutes=59) < end - datetime.now(UTC) <= timedelta(hours=1)
    store.rotate("shop", grace=timedelta(days=7))
    assert end in {key.expires for key in store.all()}, "a later rotation gives an earlier key no longer life"
    store.rotate("shop", grace=timedelta(0))
    access.refresh()
    assert refused(access, None, old) == refused(access, None, new) == 403


def test_the_database_holds_no_key(platform: Platform, store: ApiKeyStore) -> None:
    key, kept = store.create("shop", ["predict"])
    assert re.fullmatch(r"mf_[0-9a-f]{8}_[A-Za-z0-9_-]{32}", key)
    assert kept.hash == hash_of(key)
    opened(platform)
    secret = key.split("_", 2)[2]
    for file in (file for file in platform.home.rglob("*") if file.is_file()):
        assert secret.encode() not in file.read_bytes(), file


def test_keys_outlive_a_database_that_is_away(
    platform: Platform, store: ApiKeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = store.create("shop", ["predict"])
    access = opened(platform)
    snapshot = platform.home / "cache" / "api_keys.json"
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
    away = tmp_path / "folder"
    away.mkdir()
    monkeypatch.setenv("FACTORY_DATABASE_URI", f"sqlite:///{away}")  # a folder is no database
    load_platform.cache_clear()
    without = load_platform()
    monkeypatch.setattr(access, "_store", ApiKeyStore(without))
    access.refresh()
    restarted = opened(without)
    for door in (access, restarted):
        assert door.caller(None, key).name == "shop"
        assert refused(door) == 401
    snapshot.unlink()
    unknowing = opened(without)
    assert refused(unknowing) == 503
    assert refused(unknowing, None, key) == 503
    unknowing.require(unknowing.caller(None, serving_key(without)), "operate")


def test_a_bucket_counts_rows_and_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(limits, "monotonic", lambda: now)
    bucket = Bucket("shop", rate=10, burst=20)
    bucket.take(20)
    with pytest.raises(ServingError) as caught:
        bucket.take(15)
    assert caught.value.status == 429
    assert caught.value.headers == {
        "retry-after": "2", "ratelimit-limit": "20", "ratelimit-remaining": "0", "ratelimit-reset": "2",
    }  # fmt: skip
    now += 1.5
    bucket.take(15)
    now += 100
    bucket.take(1000)  # more than the burst: takes a full bucket, and is paid for afterwards
    now += 97.9
    with pytest.raises(ServingError):
        bucket.take(1)
    now += 0.3
    bucket.take(1)


def test_limits_are_those_of_the_key_else_of_the_settings_shared_by_the_workers(
    platform: Platform, store: ApiKeyStore
) -> None:
    own, _ = store.create("own", ["predict"], rate=100, burst=50)
    default, _ = store.create("default", ["predict"])
    free, _ = store.create("free", ["predict"], rate=0)
    access = opened(platform, rate=8.0, workers=2)
    buckets = {name: access.caller(None, key).limit for name, key in (("own", own), ("default", default))}
    assert {name: (bucket.rate, bucket.burst) for name, bucket in buckets.items() if bucket} == {
        "own": (50, 25),
        "default": (4, 4),
    }
    assert access.caller(None, free).limit is None
    caller = access.caller(None, default)
    access.admit(caller, 4)
    access.refresh()
    with pytest.raises(ServingError):
        access.admit(access.caller(None, default), 4)  # a refresh does not fill the bucket


def test_callers_without_a_key_are_limited_by_address(platform: Platform) -> None:
    access = opened(platform, anonymous_rate=1.0, anonymous_burst=2.0)
    for address in ("10.0.0.1", "2001:db8::1", "fe80::1%eth0", None):
        access.admit(access.caller(None, None, address), 2)
    for address in ("10.0.0.1", "2001:db8::ffff:2", None):
        with pytest.raises(ServingError):
            access.admit(access.caller(None, None, address), 1)
    access.admit(access.caller("Bearer junk", None, "10.0.0.2"), 2)
    with pytest.raises(ServingError):
        access.admit(access.caller("Bearer other", None, "10.0.0.2"), 1)
    access.admit(access.caller(None, serving_key(platform), "10.0.0.2"), 10**6)


def test_no_refusal_repeats_a_key(platform: Platform, store: ApiKeyStore) -> None:
    store.create("shop", ["predict"])
    access = opened(platform)
    for sent in (("Bearer marker-1", None), (None, "marker-1"), ("marker-1", None)):
        with pytest.raises(ServingError) as caught:
            access.caller(*sent)
        assert "marker-1" not in str(caught.value.body()) + str(caught.value.headers)


def test_the_command_makes_lists_rotates_and_revokes(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = keys.main(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    code, out, err = run("create", "shop", "--role", "predict", "--days", "90", "--rate", "5")
    assert code == 0
    assert out.startswith("mf_")
    assert out.strip() not in err
    _, rotated, _ = run("rotate", "shop", "--grace-hours", "2")
    assert hash_of(rotated.strip()) in {key.hash for key in ApiKeyStore(platform).all()}
    _, listed, _ = run("list")
    assert listed.count("shop") == 2
    assert out.strip() not in listed
    public = rotated.split("_")[1]
    assert run("revoke", public)[0] == 0
    assert [key.revoked is None for key in ApiKeyStore(platform).all()] == [True, False]
    assert run("create", "shop") == (1, "", "there is a valid key named 'shop'; rotate it, or choose another name\n")
    assert "did you mean 'shop'?" in run("revoke", "shpo")[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": ""}, "printable"),
        ({"name": "a\nb"}, "printable"),
        ({"name": "anonymous"}, "taken by the server"),
        ({"roles": []}, "opens nothing"),
        ({"roles": ["operator"]}, "did you mean 'operate'?"),
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "expired already"),
        ({"rate": -1.0}, "at least 0"),
        ({"burst": 0.0}, "at least 1"),
    ],
)
def test_what_no_key_can_have_is_refused(store: ApiKeyStore, arguments: dict[str, object], told: str) -> None:
    with pytest.raises(FactoryError, match=re.escape(told)):
        store.create(**{"name": "shop", "roles": ["predict"], **arguments})  # type: ignore[arg-type]
