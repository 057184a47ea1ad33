"""Puts the gRPC server together, from the parts that HTTP has."""

from __future__ import annotations

from collections.abc import Mapping

from service.grpc.certificates import server_credentials
from service.grpc.credentials import Credentials
from service.grpc.documents import Documents
from service.grpc.receiving import Receiver
from service.grpc.rpcs import RpcContext, Rpcs
from service.grpc.server import Address, GrpcServer
from service.http.protocols.base import Resource, Served
from service.http.transport.prediction_cycle import FastPathContext
from service.settings import Settings
from service.tls.rotation import Rotation


def build(
    settings: Settings,
    http: FastPathContext,
    served: Served,
    resources: Mapping[str, Resource],
    tls: Rotation | None = None,
) -> GrpcServer:
    """The server on ``settings.grpc_port``; ``resources`` are those of the protocol over REST."""
    receiver = Receiver(http.limits, http.budget)
    credentials = Credentials(http.access, http.proxies)
    rpcs = Rpcs(RpcContext(http.predict, http.tracker, http.ids, receiver, Documents(resources, served), credentials))
    return GrpcServer(
        rpcs,
        Address(settings.host, settings.grpc_port, shared=settings.workers != 1),
        http.limits,
        credentials,
        idle_s=settings.keep_alive_timeout_s,
        request_s=settings.request_timeout_s,
        certificates=None if tls is None else server_credentials(tls),
    )
