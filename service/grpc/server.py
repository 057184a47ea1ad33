"""gRPC's server on the event loop: its bounds, health checking, reflection, start and drain."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.errors import StartError
from service.grpc.credentials import Credentials
from service.grpc.messages import POOL, SERVICE
from service.grpc.receiving import Receiver
from service.grpc.rpcs import Rpcs
from service.grpc.streams import HEALTH, REFLECTION, Health, Reflection, Streams
from service.http.limits import Limits

_log = logging.getLogger(__name__)

_MAX_RPCS: Final = 4096
_MAX_STREAMS: Final = 1024  # on one connection
_MAX_METADATA_BYTES: Final = 16 * 1024
_MAX_AGE_S: Final = 1800.0  # clients connect again, to any worker
_PING_S: Final = 60.0
_FASTEST_PING_S: Final = 10.0
# How long clients that watch the health have to read that it ends.
_NOTICE_S: Final = 0.3
# How long new RPCs are refused before the connections get GOAWAY, and a silence that ends it.
_REFUSAL_S: Final = 1.0
_QUIET_S: Final = 0.05
_FAREWELL_S: Final = 1.0
_TICK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. ``shared`` lets several processes bind the port: SO_REUSEPORT."""

    host: str
    port: int
    shared: bool

    @property
    def text(self) -> str:
        """As in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class GrpcServer:
    """Serves ``rpcs``, health checking and reflection at ``address``; ``control`` receives the messages of these two.

    An idle connection is closed after ``idle_s``. A connection that is closed for its age may finish RPCs for
    ``request_s``. With ``certificates`` it speaks TLS alone.
    """

    def __init__(
        self,
        rpcs: Rpcs,
        address: Address,
        limits: Limits,
        credentials: Credentials,
        control: Receiver,
        *,
        idle_s: float,
        request_s: float,
        certificates: grpc.ServerCredentials | None = None,
    ) -> None:
        self._rpcs = rpcs
        self._address = address
        self._credentials = credentials
        self._certificates = certificates
        self._options = _options(limits, shared=address.shared, idle_s=idle_s, request_s=request_s)
        self._control = control
        self._streams = Streams()
        self._health = Health(self._streams, ("", SERVICE), control)
        self._server: Any = None

    async def start(self) -> None:
        """Start listening in the running loop. Raises `StartError` if the address is not available."""
        server = self._server = grpc.aio.server(options=self._options, maximum_concurrent_rpcs=_MAX_RPCS)
        for described in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            POOL.AddSerializedFile(described.serialized_pb)
        names = (SERVICE, HEALTH, REFLECTION)
        reflected = Reflection(self._streams, names, self._credentials, self._control, pool=POOL)
        server.add_generic_rpc_handlers((self._rpcs.handlers(), self._health.handlers(), reflected.handlers()))
        try:
            if self._certificates is None:
                server.add_insecure_port(self._address.text)
            else:
                server.add_secure_port(self._address.text, self._certificates)
        except RuntimeError as error:
            raise StartError(f"cannot listen on {self._address.text}; choose another with --grpc-port") from error
        await server.start()
        _log.info("gRPC on %s", self._address.text)

    async def drain(self, within_s: float) -> None:
        """Report NOT_SERVING, then refuse new RPCs, answer those in flight, and close all connections.

        gRPC cancels the RPCs that wait to be started when it shuts down, which clients do not repeat. They are refused
        as UNAVAILABLE before, which clients do.
        """
        ends_at_s = time.monotonic() + within_s
        self._health.drain()
        await asyncio.sleep(_NOTICE_S)  # clients that watch send their next RPC elsewhere
        self._rpcs.refuse()
        await self._while_rpcs_come(min(ends_at_s, time.monotonic() + _REFUSAL_S))
        stopping = asyncio.create_task(self._server.stop(within_s + _FAREWELL_S))
        while not stopping.done() and time.monotonic() < ends_at_s:
            self._streams.end()
            await asyncio.sleep(_TICK_S)
        if not stopping.done():
            await self._server.stop(_FAREWELL_S)
        await stopping

    async def _while_rpcs_come(self, ends_at_s: float) -> None:
        """Wait until no RPC has come for a moment."""
        begun = -1
        while begun != self._rpcs.begun and time.monotonic() < ends_at_s:
            begun = self._rpcs.begun
            await asyncio.sleep(_QUIET_S)


def _options(limits: Limits, *, shared: bool, idle_s: float, request_s: float) -> list[tuple[str, int]]:
    """https://grpc.github.io/grpc/core/group__grpc__arg__keys.html."""
    seconds = {
        "grpc.max_connection_idle_ms": idle_s,
        "grpc.max_connection_age_ms": _MAX_AGE_S,
        "grpc.max_connection_age_grace_ms": request_s,
        "grpc.server_handshake_timeout_ms": limits.receive_timeout_s,
        "grpc.keepalive_time_ms": _PING_S,
        "grpc.keepalive_timeout_ms": idle_s,
        "grpc.http2.min_ping_interval_without_data_ms": _FASTEST_PING_S,
    }
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", _MAX_STREAMS),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.per_message_decompression", 0),
        *((name, int(1000 * value)) for name, value in seconds.items()),
    ]
