"""Health checking and reflection: what they receive is bounded, and their streams end when the server drains.

gRPC would read their messages itself, as large as any other and for as long as they take, from clients without a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio as reflection

from service.errors import BodyTooLarge, MalformedBody, Overloaded, ReceiveTimeout, RequestError
from service.grpc import statuses
from service.grpc.credentials import Credentials
from service.grpc.receiving import Receiver

HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
REFLECTION: Final = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name
# So many RPCs may be open that a quarter of them leaves room for predictions.
_MOST_STREAMS: Final = 1024
_RETRY_S: Final = 1.0
# Messages name a service, and each stream may keep its own.
_MOST_BYTES: Final = 16 * 1024

Context = Any  # grpc.aio.ServicerContext, which has no types
Handlers = Any  # grpc.GenericRpcHandler


class Streams:
    """The streams that are open, ``most`` at once."""

    def __init__(self, most: int = _MOST_STREAMS) -> None:
        self._most = most
        self._tasks: set[asyncio.Task[Any]] = set()
        self._are_ended = False

    @asynccontextmanager
    async def opened(self, context: Context) -> AsyncIterator[None]:
        """Count the running task as a stream. At `end` its client is told, which a cancelled task alone does not do."""
        if len(self._tasks) >= self._most:
            await statuses.abort(context, Overloaded(f"{self._most} streams are open; close some", _RETRY_S))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._are_ended:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping; ask another one")
            raise
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """End all streams."""
        self._are_ended = True
        while self._tasks:
            self._tasks.pop().cancel()


class Health:
    """gRPC's health checking of ``services``, with messages that ``receiver`` reads, and streams that can be ended.

    https://grpc.io/docs/guides/health-checking/. The servicer of grpcio-health-checking holds a lock while it writes to
    a client, so that one that does not read would keep all others waiting.
    """

    def __init__(self, streams: Streams, services: Collection[str], receiver: Receiver) -> None:
        self._streams = streams
        self._services = services
        self._receiver = receiver
        self._is_draining = asyncio.Event()

    def drain(self) -> None:
        """Report NOT_SERVING from now on."""
        self._is_draining.set()

    def handlers(self) -> Handlers:
        """The service, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        serialize = health_pb2.HealthCheckResponse.SerializeToString
        methods = {
            "Check": grpc.stream_unary_rpc_method_handler(self._check, response_serializer=serialize),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch, response_serializer=serialize),
        }
        return grpc.method_handlers_generic_handler(HEALTH, methods)

    async def _check(self, _messages: AsyncIterator[bytes], context: Context) -> Any:
        service = await self._service(context)
        if service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {service!r:.60}")
        return self._answer(service)

    async def _watch(self, _messages: AsyncIterator[bytes], context: Context) -> None:
        """Send the status, and its one change."""
        async with self._streams.opened(context):
            service = await self._service(context)
            sent = self._answer(service)
            await context.write(sent)
            await self._is_draining.wait()
            if self._answer(service) != sent:
                await context.write(self._answer(service))
            await asyncio.Event().wait()

    async def _service(self, context: Context) -> str:
        request = await _received(health_pb2.HealthCheckRequest, self._receiver, context)
        name: str = request.service
        return name

    def _answer(self, service: str) -> Any:
        answer = health_pb2.HealthCheckResponse
        known = answer.NOT_SERVING if self._is_draining.is_set() else answer.SERVING
        return answer(status=known if service in self._services else answer.SERVICE_UNKNOWN)


class Reflection(reflection.ReflectionServicer):  # type: ignore[misc] # it has no types
    """gRPC's reflection, with messages that ``receiver`` reads, and streams that can be ended."""

    def __init__(
        self,
        streams: Streams,
        services: tuple[str, ...],
        credentials: Credentials,
        receiver: Receiver,
        pool: Any,
    ) -> None:
        super().__init__(services, pool=pool)
        self._streams = streams
        self._credentials = credentials
        self._receiver = receiver

    def handlers(self) -> Handlers:
        """The service, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        serialize = reflection_pb2.ServerReflectionResponse.SerializeToString
        handler = grpc.stream_stream_rpc_method_handler(self._answer, response_serializer=serialize)
        return grpc.method_handlers_generic_handler(REFLECTION, {"ServerReflectionInfo": handler})

    async def _answer(self, _messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        """Answer questions about the services."""
        await self._credentials.require(context)
        async with self._streams.opened(context):
            async for response in self.ServerReflectionInfo(self._requests(context), context):
                yield response

    async def _requests(self, context: Context) -> AsyncIterator[Any]:
        """The messages, until none has come for as long as one may take."""
        while True:
            try:
                body = await self._receiver.next(context.read)
                if body is None:
                    return
                request = _parsed(reflection_pb2.ServerReflectionRequest, body)
            except ReceiveTimeout:
                return
            except RequestError as error:
                await statuses.abort(context, error)
            yield request


async def _received(kind: Any, receiver: Receiver, context: Context) -> Any:
    """The one message of an RPC, of the class ``kind``; aborts the RPC if there is none."""
    try:
        return _parsed(kind, await receiver.receive(context.read))
    except RequestError as error:
        await statuses.abort(context, error)


def _parsed(kind: Any, body: bytes) -> Any:
    if len(body) > _MOST_BYTES:
        raise BodyTooLarge(f"the message has {len(body)} bytes, expected at most {_MOST_BYTES}; send a name alone")
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise MalformedBody(f"the message is not a {kind.DESCRIPTOR.name}; send it again") from error
