"""Health checking and reflection, whose streams would keep a server that drains from stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha.reflection import aio as reflection

from service.grpc.credentials import Context, Credentials


class Streams:
    """The streams that are open."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._are_ended = False

    @asynccontextmanager
    async def opened(self, context: Context) -> AsyncIterator[None]:
        """Count the running task as a stream. At `end` its client is told, which a cancelled task alone does not do."""
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


class Health(health.HealthServicer):  # type: ignore[misc] # it has no types
    """gRPC's health checking, with streams that can be ended."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self._streams = streams

    async def Watch(self, request: Any, context: Context) -> None:  # noqa: N802 - the RPC's name
        """Send each change of a service's status."""
        async with self._streams.opened(context):
            await super().Watch(request, context)


class Reflection(reflection.ReflectionServicer):  # type: ignore[misc] # it has no types
    """gRPC's reflection, with streams that can be ended."""

    def __init__(self, streams: Streams, services: tuple[str, ...], credentials: Credentials, pool: Any) -> None:
        super().__init__(services, pool=pool)
        self._streams = streams
        self._credentials = credentials

    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:  # noqa: N802 - the RPC
        """Answer questions about the services."""
        await self._credentials.require(context)
        async with self._streams.opened(context):
            async for response in super().ServerReflectionInfo(requests, context):
                yield response
