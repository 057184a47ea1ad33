"""Health checking and the streams that may be open, told with contexts of RPCs that are made up."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from service.grpc.receiving import Receiver
from service.grpc.streams import Health, Streams
from service.http.limits import BodyBudget, Limits

Status = health_pb2.HealthCheckResponse


class Aborted(Exception):
    """What `Context.abort` raises."""


class Context:
    """Of an RPC: its message, what was written, and how it was aborted. A client that does not read blocks a write."""

    def __init__(self, service: str = "", *, reads: bool = True) -> None:
        self._service = service
        self._reads = reads
        self.written: list[int] = []
        self.aborted: list[tuple[grpc.StatusCode, str]] = []
        self.changed = asyncio.Event()

    async def read(self) -> bytes:
        content: bytes = health_pb2.HealthCheckRequest(service=self._service).SerializeToString()
        return content

    async def write(self, response: Any) -> None:
        if not self._reads:
            await asyncio.Event().wait()
        self.written.append(response.status)
        self.changed.set()

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.aborted.append((code, details))
        raise Aborted


async def no_messages() -> Any:
    return
    yield


def health(streams: Streams | None = None) -> Any:
    limits = Limits(1000, 1.0, 10)
    return Health(streams or Streams(), ("", "a.Service"), Receiver(limits, BodyBudget(10_000)))


@pytest.mark.anyio
async def test_more_streams_than_allowed_are_refused() -> None:
    streams, context, closed = Streams(most=2), Context(), asyncio.Event()

    async def stream() -> None:
        async with streams.opened(context):
            await closed.wait()

    first, second = (asyncio.create_task(stream()) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(Aborted):
        await stream()
    assert context.aborted == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "2 streams are open; close some")]
    closed.set()
    await asyncio.gather(first, second)
    await stream()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("service", "statuses"),
    [
        ("", [Status.SERVING, Status.NOT_SERVING]),
        ("a.Service", [Status.SERVING, Status.NOT_SERVING]),
        ("another", [Status.SERVICE_UNKNOWN]),
    ],
)
async def test_who_watches_is_told_of_the_drain_once_though_another_does_not_read(
    service: str, statuses: list[int]
) -> None:
    tried, reading, stuck = health(), Context(service), Context(service, reads=False)
    watching = [asyncio.create_task(tried._watch(no_messages(), each)) for each in (stuck, reading)]
    for at in range(2):
        if at:
            reading.changed.clear()
            tried.drain()
        if len(statuses) > at:
            await reading.changed.wait()
    late = Context(service)
    watching.append(asyncio.create_task(tried._watch(no_messages(), late)))
    await late.changed.wait()
    await asyncio.sleep(0)
    assert (reading.written, late.written, stuck.written) == (statuses, statuses[-1:], [])
    for each in watching:
        each.cancel()


@pytest.mark.anyio
async def test_a_check_answers_for_the_services_that_there_are() -> None:
    tried, unknown = health(), Context("no\n")
    assert (await tried._check(no_messages(), Context("a.Service"))).status == Status.SERVING
    with pytest.raises(Aborted):
        await tried._check(no_messages(), unknown)
    assert unknown.aborted == [(grpc.StatusCode.NOT_FOUND, "there is no service 'no\\n'")]
    tried.drain()
    assert (await tried._check(no_messages(), Context())).status == Status.NOT_SERVING
