"""Whether the model server in this container is ready: exit code 0 or 1."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys

PORT, SECONDS = 8500, 4


def ready() -> bool:
    """Return whether the routes are restored; of a server that asks for certificates, whether it listens."""
    if os.environ.get("FACTORY_SERVING__TLS_CLIENT_CA"):
        socket.create_connection(("127.0.0.1", PORT), SECONDS).close()
        return True
    if os.environ.get("FACTORY_SERVING__TLS_CERTIFICATE"):
        unverified = ssl._create_unverified_context()  # noqa: S323 - the certificate bears another name than 127.0.0.1
        connection = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=SECONDS, context=unverified)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    connection.request("GET", "/health/ready")
    return connection.getresponse().status == 200


if __name__ == "__main__":
    try:
        sys.exit(0 if ready() else 1)
    except OSError as error:
        sys.exit(f"not ready: {error}")
