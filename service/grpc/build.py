"""Puts the gRPC server together, from the parts that HTTP has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.grpc.certificates import server_credentials
from service.grpc.credentials import Credentials
from service.grpc.documents import Documents
from service.grpc.receiving import Receiver
from service.grpc.rpcs import RpcContext, Rpcs
from service.grpc.server import Address, GrpcServer
from service.http.limits import BodyBudget
from service.http.protocols.base import Resource, Served
from service.http.transport.prediction_cycle import FastPathContext
from service.settings import Settings
from service.tls.rotation import Rotation

# How many messages without rows may be slow at once. Clients without a key may ask for the server's health, so such
# messages have memory of their own, and leave predictions theirs.
_SLOW_CONTROL_MESSAGES: Final = 8


def build(
    settings: Settings,
    http: FastPathContext,
    served: Served,
    resources: Mapping[str, Resource],
    tls: Rotation | None = None,
) -> GrpcServer:
    """The server on ``settings.grpc_port``; ``resources`` are those of the protocol over REST."""
    receiver = Receiver(http.limits, http.budget)
    control = Receiver(http.limits, BodyBudget(_SLOW_CONTROL_MESSAGES * http.limits.max_body_bytes))
    credentials, documents = Credentials(http.access, http.proxies), Documents(resources, served)
    rpcs = Rpcs(RpcContext(http.predict, http.tracker, http.ids, receiver, control, documents, credentials))
    return GrpcServer(
        rpcs,
        Address(settings.host, settings.grpc_port, shared=settings.workers != 1),
        http.limits,
        credentials,
        control,
        idle_s=settings.keep_alive_timeout_s,
        request_s=settings.request_timeout_s,
        certificates=None if tls is None else server_credentials(tls),
    )
