"""What the settings of TLS name is checked before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from include.specs import FactoryError, Platform
from include.store.tls import client_context, server_tls
from tests.certificates import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def serving(platform: Platform, **settings: object) -> Platform:
    texts = {name: str(value) for name, value in settings.items()}
    return platform.model_copy(update={"serving": platform.serving.model_copy(update=texts)})


def test_without_settings_there_is_no_tls(platform: Platform) -> None:
    assert server_tls(platform) is None


def test_a_pair_is_taken(platform: Platform, authority: Authority) -> None:
    pair = authority.server()
    found = server_tls(
        serving(platform, tls_certificate=pair.certificate, tls_key=pair.key, tls_client_ca=authority.file)
    )
    assert found is not None
    assert (found.certificate, found.key, found.client_ca) == (pair.certificate, pair.key, authority.file)
    assert found.version == "1.2"


def test_what_cannot_work_says_which_setting_and_what_to_do(
    platform: Platform, authority: Authority, tmp_path: Path
) -> None:
    server, client = authority.server(), authority.client()
    noise = tmp_path / "noise.pem"
    noise.write_text("no certificate")
    locked = tmp_path / "locked.pem"
    key = serialization.load_pem_private_key(server.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    missing = tmp_path / "missing.pem"
    for settings, told in (
        ({"tls_key": server.key}, "serving.tls_key is set without serving.tls_certificate"),
        ({"tls_client_ca": authority.file}, "serving.tls_client_ca is set without"),
        ({"tls_certificate": server.certificate}, "without serving.tls_key"),
        ({"tls_certificate": missing, "tls_key": server.key}, f"{missing} cannot be read \\(No such file"),
        ({"tls_certificate": tmp_path, "tls_key": server.key}, "cannot be read \\(Is a directory"),
        ({"tls_certificate": server.certificate, "tls_key": client.key}, "is not that of the certificate"),
        ({"tls_certificate": noise, "tls_key": server.key}, "cannot be used .*as PEM and not encrypted"),
        ({"tls_certificate": server.certificate, "tls_key": locked}, "cannot be used .*not encrypted"),
        (
            {"tls_certificate": server.certificate, "tls_key": server.key, "tls_client_ca": noise},
            "serving.tls_client_ca: .* holds no certificate",
        ),
    ):
        with pytest.raises(FactoryError, match=told):
            server_tls(serving(platform, **settings))


def test_a_client_trusts_the_named_authority_alone_and_shows_its_certificate(
    platform: Platform, authority: Authority
) -> None:
    system = client_context(platform)
    assert system.verify_mode is ssl.CERT_REQUIRED
    pair = authority.client()
    both = pair.key.with_name("both.pem")
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    named = client_context(
        platform.model_copy(update={"serving_ca": str(authority.file), "serving_certificate": str(both)})
    )
    assert [entry["subject"] for entry in named.get_ca_certs()] == [((("commonName", "test authority"),),)]
    assert named.check_hostname
    with pytest.raises(FactoryError, match=r"serving_ca: .* holds no certificate"):
        client_context(platform.model_copy(update={"serving_ca": str(pair.key)}))
