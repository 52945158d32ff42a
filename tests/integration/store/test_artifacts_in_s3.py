"""The artifact store over S3: the contract over moto, and every way in which S3 says no, over a server of our own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from include.specs import TemporarilyUnavailableError
from include.store.artifacts import ArtifactError, ArtifactStore
from tests.integration.conftest import free_port
from tests.integration.s3 import KEYS, moto_running, name_server, new_bucket
from tests.unit.store.artifacts_contract import ArtifactsContract

SECRET = "hunter2-secret-key"


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_running(free_port(), tmp_path_factory.mktemp("moto")) as endpoint:
        yield endpoint


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name_server(monkeypatch, moto, KEYS)
    return new_bucket()


class TestMoto(ArtifactsContract):
    @pytest.fixture
    def store(self, bucket: str) -> ArtifactStore:
        return ArtifactStore(f"s3://{bucket}/a b/factory")

    def test_a_large_file_goes_in_parts(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "large").write_bytes(b"x" * (70 << 20))
        store.upload(tmp_path / "large", "large")
        bucket = store.uri.split("/")[2]
        head = boto3.session.Session().client("s3").head_object(Bucket=bucket, Key="a b/factory/large")
        assert head["ETag"].strip('"').endswith("-5")  # 16 MiB a part

    def test_a_folder_is_never_missing_while_it_is_replaced(self, store: ArtifactStore, tmp_path: Path) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "a").write_text("a")
        store.upload(tmp_path / "work", "x")
        stop, missed = threading.Event(), []

        def look() -> None:
            while not stop.is_set():
                missed.append(not store.exists("x/a"))

        watcher = threading.Thread(target=look)
        watcher.start()
        for _ in range(20):
            store.upload(tmp_path / "work", "x")
        stop.set()
        watcher.join()
        assert missed and not any(missed)

    def test_a_key_that_would_leave_the_folder_is_refused(self, store: ArtifactStore) -> None:
        bucket = store.uri.split("/")[2]
        client = boto3.session.Session().client("s3")
        client.put_object(Bucket=bucket, Key="a b/factory/runs/../../../evil", Body=b"x")
        with pytest.raises(ArtifactError, match="leaves its folder"), store.local("runs"):
            pass

    def test_a_missing_bucket_is_told(self, store: ArtifactStore) -> None:
        missing = ArtifactStore("s3://factory-nowhere/x", patience=30)
        began = time.monotonic()
        for act in (missing.files, missing.folders):
            with pytest.raises(ArtifactError, match="there is no such bucket; make it"):
                act()
        for act in (missing.read_bytes, missing.exists, missing.delete):
            with pytest.raises(ArtifactError, match="there is no such bucket; make it"):
                act("a")
        with pytest.raises(ArtifactError, match="there is no such bucket; make it"):
            missing.write_bytes("a", b"x")
        assert time.monotonic() - began < 10  # asking again would not help


class Refusals(ThreadingHTTPServer):
    """Answers every listing with the error that it is told, so often as it is told, then with ``pages``; has no object."""

    code, status, times = "", 403, 0
    pages: tuple[str, ...] = ("<KeyCount>0</KeyCount>",)
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: Refusals

    def do_GET(self) -> None:
        self.server.times -= 1
        page = parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])[0]
        status, body = 200, f"<ListBucketResult>{self.server.pages[int(page)]}</ListBucketResult>"
        if "list-type" not in self.path:
            status, body = 404, "<Error><Code>NoSuchKey</Code><Message>m</Message></Error>"
        elif self.server.times >= 0:
            status, body = self.server.status, f"<Error><Code>{self.server.code}</Code><Message>m</Message></Error>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusals]:
    server = Refusals(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    name_server(monkeypatch, f"http://127.0.0.1:{server.server_port}", {**KEYS, "AWS_SECRET_ACCESS_KEY": SECRET})
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("InvalidAccessKeyId", 403, "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, "correct AWS_SECRET_ACCESS_KEY"),
        ("AccessDenied", 403, "grant them s3:ListBucket"),
        ("ExpiredToken", 400, "have expired; get new ones"),
        ("InvalidToken", 400, "AWS_SESSION_TOKEN"),
        ("RequestTimeTooSkewed", 403, "clock of this machine"),
        ("PermanentRedirect", 301, "set AWS_DEFAULT_REGION"),
        ("NoSuchBucket", 404, "there is no such bucket"),
        ("SomethingNew", 418, "SomethingNew"),
    ],
)
def test_a_refusal_says_what_to_do_at_once(refusals: Refusals, code: str, status: int, says: str) -> None:
    refusals.code, refusals.status, refusals.times = code, status, 10_000
    began = time.monotonic()
    with pytest.raises(ArtifactError, match=says) as refused:
        ArtifactStore("s3://bucket/x", patience=30).exists("a")
    assert time.monotonic() - began < 10
    assert SECRET not in str(refused.value) and "s3://bucket" in str(refused.value)


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("ServiceUnavailable", 503)])
def test_what_passes_is_waited_for(refusals: Refusals, code: str, status: int) -> None:
    refusals.code, refusals.status, refusals.times = code, status, 5  # more than botocore itself tries
    assert not ArtifactStore("s3://bucket/x", patience=30).exists("a")
    assert refusals.times < 0


def test_a_server_that_stays_away_is_told(refusals: Refusals) -> None:
    refusals.code, refusals.status, refusals.times = "SlowDown", 503, 10_000
    with pytest.raises(TemporarilyUnavailableError, match=r"SlowDown.*AWS_ENDPOINT_URL"):
        ArtifactStore("s3://bucket/x", patience=1).exists("a")


def test_a_busy_server_is_not_taken_for_one_that_has_nothing(refusals: Refusals) -> None:
    refusals.code, refusals.status, refusals.times = "SlowDown", 503, 10_000
    with (
        pytest.raises(TemporarilyUnavailableError, match="SlowDown"),
        ArtifactStore("s3://bucket/x", patience=1).local("a"),
    ):
        pass


def test_an_empty_page_is_not_the_end_of_a_listing(refusals: Refusals) -> None:
    more = "<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken>"
    one = "<KeyCount>1</KeyCount><Contents><Key>x/a/b</Key><Size>3</Size></Contents>"
    refusals.pages = (more, one)
    assert ArtifactStore("s3://bucket/x").exists("a")


def test_an_endpoint_where_nothing_listens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        name_server(monkeypatch, f"http://127.0.0.1:{taken.getsockname()[1]}", KEYS)
        with pytest.raises(TemporarilyUnavailableError, match="did not answer for 1 s") as away:
            ArtifactStore("s3://bucket/x", patience=1).files()
    assert "127.0.0.1" in str(away.value)


def test_missing_credentials_and_a_wrong_endpoint_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name_server(monkeypatch, "nonsense", KEYS)
    with pytest.raises(ArtifactError, match="AWS_ENDPOINT_URL"):
        ArtifactStore("s3://bucket/x")
    name_server(monkeypatch, "http://127.0.0.1:9", KEYS)
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(ArtifactError, match="there are no credentials; set AWS_ACCESS_KEY_ID"):
        ArtifactStore("s3://bucket/x").files()
