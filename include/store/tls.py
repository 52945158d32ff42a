"""TLS between the model server and its callers: what the settings name is checked before anything listens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from include.specs.errors import FactoryError
from include.specs.loader import ROOT
from include.specs.platform import Platform


@dataclass(frozen=True)
class ServerTls:
    """What the model server shows and asks for.

    Attributes:
        certificate: PEM file of the certificate and its chain.
        key: PEM file of its private key, not encrypted.
        client_ca: PEM file of who signs clients' certificates; with it every client must show one (mTLS).
        version: the lowest version of TLS that is spoken.
    """

    certificate: Path
    key: Path
    client_ca: Path | None
    version: Literal["1.2", "1.3"]


def server_tls(platform: Platform) -> ServerTls | None:
    """Return the server's TLS, or None when the settings ask for none.

    Raises:
        FactoryError: a file is not named, not there, not readable, no PEM, or the key is another certificate's.
    """
    settings = platform.serving
    if not settings.tls_certificate:
        for name in ("tls_key", "tls_client_ca"):
            if getattr(settings, name):
                raise FactoryError(f"serving.{name} is set without serving.tls_certificate; set both, or neither")
        return None
    if not settings.tls_key:
        raise FactoryError("serving.tls_certificate is set without serving.tls_key; set both, or neither")
    certificate = _file("serving.tls_certificate", settings.tls_certificate)
    key = _file("serving.tls_key", settings.tls_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_pair(context, "serving.tls_certificate", certificate, key)
    client_ca = _file("serving.tls_client_ca", settings.tls_client_ca) if settings.tls_client_ca else None
    if client_ca:
        _load_authorities(context, "serving.tls_client_ca", client_ca)
    return ServerTls(certificate, key, client_ca, settings.tls_version)


def client_context(platform: Platform) -> ssl.SSLContext:
    """Return how a client of the model server checks it, and what it shows itself: for ``httpx``'s ``verify``.

    Raises:
        FactoryError: a file that the settings name cannot be used.
    """
    if platform.serving_ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_authorities(context, "serving_ca", _file("serving_ca", platform.serving_ca))
    else:
        context = ssl.create_default_context()
    if platform.serving_certificate:
        certificate = _file("serving_certificate", platform.serving_certificate)
        key = _file("serving_certificate_key", platform.serving_certificate_key or platform.serving_certificate)
        _load_pair(context, "serving_certificate", certificate, key)
    return context


def _file(setting: str, path: str) -> Path:
    """Return the file that ``setting`` names, relative to the project."""
    file = (ROOT / path).resolve()
    try:
        with file.open("rb"):
            return file
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FactoryError(f"{setting}: {file} cannot be read ({reason}); correct the setting or the file") from error


def _load_pair(context: ssl.SSLContext, setting: str, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise FactoryError(
                f"{setting}: the key in {key} is not that of the certificate in {certificate}; give a pair"
            ) from error
        raise FactoryError(
            f"{setting}: {certificate} and {key} cannot be used ({error.reason or 'no PEM'}); "
            "give a certificate and its key, as PEM and not encrypted"
        ) from error


def _load_authorities(context: ssl.SSLContext, setting: str, file: Path) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        raise FactoryError(
            f"{setting}: {file} holds no certificate ({error.reason or 'no PEM'}); give the authorities', as PEM"
        ) from error


def _no_password() -> str:
    """Answer OpenSSL's question for a password, which it would otherwise put to a terminal."""
    return ""
