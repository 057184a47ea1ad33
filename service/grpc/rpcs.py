"""The RPCs of GRPCInferenceService: each is received, answered and recorded like a request over HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc

from service.errors import InvalidOption, NotReady, RequestError, ServerFailed
from service.grpc import infer_request, statuses
from service.grpc.credentials import Context, Credentials
from service.grpc.documents import DOCUMENTS, Documents
from service.grpc.gathering import Gathering
from service.grpc.infer_request import InferRequest
from service.grpc.messages import SERVICE
from service.grpc.protocol import GrpcProtocol
from service.grpc.receiving import Receiver, in_turns
from service.http import problems
from service.http.messages import Response, by_name
from service.http.predict import Predict, timeout_s
from service.http.transport import trace_context
from service.http.transport.request_ids import RequestIds
from service.inference.steps import finish
from service.requests import RequestRecord, RequestTracker

_log = logging.getLogger(__name__)

_INFER: Final = "ModelInfer"
_REQUEST_ID: Final = "x-request-id"
_TRACEPARENT: Final = "traceparent"
_TIMEOUT: Final = "x-request-timeout-s"
_CODES: Final = {code.name.encode(): code for code in grpc.StatusCode}
_RESTART_S: Final = 1.0
_SOONEST_S: Final = 1e-6
# A deadline passes at the client before it passes here, by as long as the RPC took to arrive.
_SKEW_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class RpcContext:
    """What the RPCs share with HTTP. ``receiver`` is for messages with rows, and ``control`` for all others."""

    predict: Predict
    tracker: RequestTracker
    ids: RequestIds
    receiver: Receiver
    control: Receiver
    documents: Documents
    credentials: Credentials


class Rpcs:
    """The handlers of the service. ``begun`` counts the RPCs."""

    def __init__(self, context: RpcContext) -> None:
        self.begun = 0
        self._refusing = False
        self._shared = context
        self._protocol = GrpcProtocol()
        self._gathering = Gathering()

    def refuse(self) -> None:
        """Answer new RPCs with `NotReady`."""
        self._refusing = True

    def handlers(self) -> Any:
        """The service, for `grpc.aio.Server.add_generic_rpc_handlers`.

        Each RPC reads its message by itself, as if it were one of several, so that its time and memory are bounded.
        """
        respond: dict[str, Callable[..., Awaitable[Response]]] = {
            name: partial(self._document, name) for name in DOCUMENTS
        }
        respond[_INFER] = self._infer
        methods = {
            name: grpc.stream_unary_rpc_method_handler(_handler(self, name, each)) for name, each in respond.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def answer(self, name: str, respond: Callable[..., Awaitable[Response]], context: Context) -> bytes:
        """The response's bytes, unless the RPC is aborted with an error. Records the request."""
        route = f"/{SERVICE}/{name}"
        metadata = dict(context.invocation_metadata())
        record = self._shared.tracker.begin("POST", route, self._shared.ids.of(_bytes(metadata.get(_REQUEST_ID))))
        record.route = route
        if _TRACEPARENT in metadata:
            trace_context.note(record, _trace_headers(context))
        record.client = self._shared.credentials.client(context)
        self.begun += 1
        try:
            response = await self._responded(respond, metadata, context, record)
        except asyncio.CancelledError:
            self._abandon(context, record)
            raise
        headers = dict(response.headers)
        record.rpc_status = "OK" if response.status == 200 else headers[statuses.STATUS].decode()
        self._shared.tracker.finish(record, response.status)
        trailing = [(_REQUEST_ID, record.request_id)]
        if response.status == 200:
            trailing += [(name.decode(), value.decode()) for name, value in response.headers]
            context.set_trailing_metadata(tuple(trailing))
            return response.body
        if statuses.RETRY_AFTER in headers:
            trailing.append((statuses.RETRY_AFTER.decode(), headers[statuses.RETRY_AFTER].decode()))
        await context.abort(_CODES[headers[statuses.STATUS]], response.body.decode(), tuple(trailing))
        raise AssertionError("abort raises")

    async def _responded(
        self,
        respond: Callable[..., Awaitable[Response]],
        metadata: Mapping[str, Any],
        context: Context,
        record: RequestRecord,
    ) -> Response:
        error: RequestError
        try:
            if self._refusing:
                raise NotReady("the server is going down; try again", _RESTART_S)  # noqa: TRY301 - answered below
            self._shared.credentials.check(context, record)
            return await respond(metadata, context, record)
        except RequestError as found:
            error = found
        except Exception:  # noqa: BLE001 - every request is answered
            _log.exception("request %s failed", record.request_id)
            error = ServerFailed()
        record.problem = problems.name_of(error)
        return statuses.response(error)

    def _abandon(self, context: Context, record: RequestRecord) -> None:
        """Record an RPC that gRPC has ended: its client is gone, or its deadline has passed."""
        remaining_s = context.time_remaining()
        if remaining_s is None or remaining_s > _SKEW_S:
            self._shared.tracker.abandon()
            return
        record.problem, record.rpc_status = "deadline-exceeded", "DEADLINE_EXCEEDED"
        self._shared.tracker.finish(record, 504)

    async def _document(self, name: str, _metadata: Mapping[str, Any], context: Context, _: RequestRecord) -> Response:
        body = await self._shared.control.receive(context.read)
        return Response(200, (), self._shared.documents.respond(name, body))

    async def _infer(self, metadata: Mapping[str, Any], context: Context, record: RequestRecord) -> Response:
        body = await self._shared.receiver.receive(context.read)
        splitting = infer_request.split(body)
        small = len(body) <= infer_request.AT_ONCE_BYTES
        parts = finish(splitting) if small else await in_turns(splitting)
        headers = _headers(metadata, context.time_remaining())
        request = InferRequest(parts.model, parts.version, None, headers, body, split=parts)
        replied: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def reply(response: Response) -> None:
            if not replied.done():  # its RPC may have been cancelled in this turn
                replied.set_result(response)

        await self._gathering.join()
        pending = self._shared.predict(self._protocol, request, record, reply)
        del body, parts, request  # the queue has its rows, and a limit of its own
        try:
            return await replied
        except asyncio.CancelledError:
            if pending is not None:
                pending.cancel()
            raise


def _handler(
    rpcs: Rpcs, name: str, respond: Callable[..., Awaitable[Response]]
) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
    """A coroutine function, as gRPC wants it."""

    async def handle(_messages: AsyncIterator[bytes], context: Context) -> bytes:
        return await rpcs.answer(name, respond, context)

    return handle


def _trace_headers(context: Context) -> Mapping[bytes, bytes]:
    """The metadata of W3C's trace context, which gRPC sends like headers."""
    sent = [(name.encode(), value) for name, value in context.invocation_metadata()]
    names = (trace_context.TRACEPARENT, trace_context.TRACESTATE)
    return by_name([(name, value.encode("latin-1", "replace")) for name, value in sent if name in names])


def _headers(metadata: Mapping[str, Any], remaining_s: float | None) -> Mapping[bytes, bytes]:
    """The header that says how long an RPC may take: the shorter one of the client's deadline and ``metadata``.

    Raises `InvalidOption`.
    """
    sent = _bytes(metadata.get(_TIMEOUT))
    if sent is None and remaining_s is None:
        return {}
    if remaining_s is None:
        remaining_s = float("inf")
    if sent is not None:
        remaining_s = timeout_s(sent, remaining_s)
    return {_TIMEOUT.encode(): b"%.6f" % max(remaining_s, _SOONEST_S)}


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise InvalidOption("a value of the metadata is no text")
    return value.encode("latin-1", "replace")
