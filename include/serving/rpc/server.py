"""The gRPC server of one worker process, in its event loop; workers share the port by SO_REUSEPORT."""

from __future__ import annotations

import logging

import grpc

from include.serving.models.host import ModelHost
from include.serving.open_inference.inference import OpenInference
from include.serving.rpc import health_pb2_grpc, open_inference_pb2_grpc
from include.serving.rpc.service import HealthService, InferenceService
from include.serving.security.access import Access
from include.specs import FactoryError
from include.specs.platform import Serving
from include.store.tls import ServerTls

log = logging.getLogger(__name__)
GRACE_SECONDS = 10.0


class GrpcServer:
    """Answers the Open Inference Protocol over gRPC.

    Args:
        settings: port and limits.
        address: where to listen.
        tls: certificates, None for plain text. gRPC speaks TLS 1.2 and 1.3, whatever the lowest version is set to.
    """

    def __init__(
        self,
        settings: Serving,
        address: str,
        host: ModelHost,
        inference: OpenInference,
        access: Access,
        tls: ServerTls | None = None,
    ) -> None:
        self._settings, self._address, self._tls = settings, address, tls
        self._host, self._inference, self._access = host, inference, access
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            FactoryError: the port is taken by another program.
        """
        settings = self._settings
        self._server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", int(settings.max_body_mb * (1 << 20))),
                ("grpc.max_send_message_length", -1),
            ),
            maximum_concurrent_rpcs=settings.max_connections,
        )
        service = InferenceService(self._host, self._inference, self._access)
        open_inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(  # type: ignore[no-untyped-call]
            HealthService(self._host), self._server
        )
        place = f"{self._address}:{settings.grpc_port}"
        try:
            if self._tls is None:
                self._server.add_insecure_port(place)
            else:
                self._server.add_secure_port(place, _credentials(self._tls))
        except RuntimeError as error:
            message = f"gRPC cannot listen on {place}: {error}; free the port, or set FACTORY_SERVING__GRPC_PORT"
            raise FactoryError(message) from error
        await self._server.start()
        log.info("gRPC listens on %s", place)

    async def stop(self) -> None:
        """Take no new calls, and let those under way end."""
        if self._server is not None:
            await self._server.stop(GRACE_SECONDS)


def _credentials(tls: ServerTls) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    authorities = tls.client_ca.read_bytes() if tls.client_ca else None
    return grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)
