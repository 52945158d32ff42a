"""TLS of a server that runs: who is let in, what is refused, and the factory's own steps over it."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import httpx
import pytest

from include.local.client import ModelClient
from include.local.traffic import Request
from include.release.local import LocalTarget
from include.serving.rpc import open_inference_pb2 as pb
from include.serving.rpc import open_inference_pb2_grpc as stubs
from include.specs import FactoryError, Platform
from include.store.routes import Route, Variant
from tests.certificates import Authority
from tests.integration.conftest import free_port
from tests.integration.serving.server import Server
from tests.model_packages import ROW, churn, put


class TlsServer(Server):
    """A server that speaks TLS and asks clients for a certificate."""

    def __init__(self, platform: Platform, log: Path, authority: Authority) -> None:
        super().__init__(platform, log)
        client = authority.client()
        context = ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(client.certificate, client.key)
        self.context = context
        self.url = f"https://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False, verify=context)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Return a server with mutual TLS that serves ``churn``."""
    folder, pair, client = tmp_path_factory.mktemp("tls"), authority.server(), authority.client()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "FACTORY_HOME": folder / "home",
            "FACTORY_MODELS_DIR": folder / "no_specs",
            "FACTORY_SERVICE_RETRY_SECONDS": 1,
            "FACTORY_SERVING__TLS_CERTIFICATE": pair.certificate,
            "FACTORY_SERVING__TLS_KEY": pair.key,
            "FACTORY_SERVING__TLS_CLIENT_CA": authority.file,
            "FACTORY_SERVING__TLS_VERSION": "1.3",
            "FACTORY_SERVING__GRPC_PORT": free_port(),
            "FACTORY_SERVING_CA": authority.file,
            "FACTORY_SERVING_CERTIFICATE": client.certificate,
            "FACTORY_SERVING_CERTIFICATE_KEY": client.key,
        }.items():
            patch.setenv(name, str(value))
        server = TlsServer(Platform(), folder / "server.log", authority)
        try:
            put(server.platform.home, "churn", 1, churn())
            server.start()
            server.route("churn", ("champion", 1, 100)).raise_for_status()
            yield server
        finally:
            server.clean_up()


def test_a_client_with_a_certificate_is_answered_over_tls_1_3(secured: TlsServer) -> None:
    answer = secured.predict("churn", ROW)
    assert answer.status_code == 200
    stream = answer.extensions["network_stream"]
    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"


def test_who_shows_no_good_certificate_is_not_let_in(secured: TlsServer, authority: Authority, tmp_path: Path) -> None:
    nobody = ssl.create_default_context(cafile=authority.file)
    stranger = ssl.create_default_context(cafile=authority.file)
    pair = Authority(tmp_path / "other", "another authority").client()
    stranger.load_cert_chain(pair.certificate, pair.key)
    old = ssl.create_default_context(cafile=authority.file)
    known = authority.client()
    old.load_cert_chain(known.certificate, known.key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    for context in (nobody, stranger, old):
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{secured.url}/health", verify=context, trust_env=False)
    with pytest.raises(httpx.TransportError):
        httpx.get(secured.url.replace("https", "http") + "/health", trust_env=False)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{secured.url}/health", trust_env=False)
    assert secured.http.get("/health").status_code == 200


def test_grpc_asks_for_the_same_certificates(secured: TlsServer, authority: Authority) -> None:
    client, place = authority.client(), f"localhost:{secured.platform.serving.grpc_port}"
    root = authority.file.read_bytes()
    known = grpc.ssl_channel_credentials(root, client.key.read_bytes(), client.certificate.read_bytes())
    request = pb.ModelReadyRequest(name="churn")
    with grpc.secure_channel(place, known) as channel:
        assert stubs.GRPCInferenceServiceStub(channel).ModelReady(request, timeout=20).ready
    for channel in (grpc.secure_channel(place, grpc.ssl_channel_credentials(root)), grpc.insecure_channel(place)):
        with channel, pytest.raises(grpc.RpcError) as caught:
            stubs.GRPCInferenceServiceStub(channel).ModelReady(request, timeout=20)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_factorys_own_steps_and_traffic_use_it(secured: TlsServer) -> None:
    platform = secured.platform.model_copy(update={"serving_url": secured.url})
    target = LocalTarget(platform)
    assert target.deploy("churn", 1) >= 0
    assert target.route(Route("churn", (Variant("champion", "1", 100),))).revision > 1
    assert target.probe("churn", [ROW]).errors == 0
    request = Request("tls-1", datetime(2026, 3, 1, tzinfo=UTC), ROW, 1)
    assert ModelClient(platform, "churn").predict(request)["id"] == "tls-1"
    stranger = platform.model_copy(update={"serving_certificate": ""})
    with pytest.raises(FactoryError):
        LocalTarget(stranger).deploy("churn", 1)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"TLS_CERTIFICATE": "/nowhere.pem", "TLS_KEY": "/nowhere.pem"}, "/nowhere.pem cannot be read"),
        ({"TLS_KEY": "/nowhere.pem"}, "set both, or neither"),
    ],
)
def test_a_server_that_cannot_speak_tls_does_not_start(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], told: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"FACTORY_SERVING__{name}", value)
    command = [sys.executable, "-m", "include.serving", "--port", "0"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_plain_tls_asks_for_no_client_certificate(serve: Callable[..., Server], authority: Authority) -> None:
    pair = authority.server()
    server = serve()
    server.http = httpx.Client(
        base_url=f"https://localhost:{server.port}", trust_env=False, timeout=60,
        verify=ssl.create_default_context(cafile=authority.file),
    )  # fmt: skip
    server.start(FACTORY_SERVING__TLS_CERTIFICATE=str(pair.certificate), FACTORY_SERVING__TLS_KEY=str(pair.key))
    assert server.http.get("/health").status_code == 200
