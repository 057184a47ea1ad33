"""The ASGI middleware around a test application: ids, limits, records and unexpected errors."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.errors import BodyTooLarge, ReceiveTimeout
from service.http.limits import BodyBudget, Limits
from service.http.transport.middleware import Guard
from service.http.transport.request_ids import RequestIds
from service.lifecycle import Lifecycle, State
from service.requests import RequestRecord, RequestTracker

pytestmark = pytest.mark.anyio

Application = Callable[[Scope, Receive, Send], Any]


class RoundTrip:
    """One request through the middleware: the messages sent back, and the records."""

    def __init__(
        self,
        application: Application,
        *messages: Message,
        headers: list[tuple[bytes, bytes]] | None = None,
        scope_type: str = "http",
    ) -> None:
        self.sent: list[Message] = []
        self.records: list[RequestRecord] = []
        self.in_flight = -1
        self.lifecycle = Lifecycle(changed=lambda _: None)
        self._application = application
        self._messages = list(messages)
        self._scope: Scope = {"type": scope_type, "method": "POST", "path": "/there", "headers": headers or []}

    async def run(self) -> None:
        tracker = RequestTracker([self.records.extend], self._note_in_flight, asyncio.get_running_loop().time)
        budget = BodyBudget(max_bytes=100)
        guard = Guard(
            self._application,
            tracker=tracker,
            lifecycle=self.lifecycle,
            ids=RequestIds(),
            limits=Limits(max_body_bytes=10, receive_timeout_s=0.05, max_rows=10),
            budget=budget,
        )
        await guard(self._scope, self._receive, self._send)
        assert budget.buffered_bytes == 0
        tracker.report()

    @property
    def start(self) -> tuple[int, dict[bytes, bytes]]:
        return self.sent[0]["status"], dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    def _note_in_flight(self, count: int) -> None:
        self.in_flight = count

    async def _receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": body})


async def test_a_request_passes_with_its_id_and_is_recorded() -> None:
    trip = RoundTrip(echo, piece(b"12345", more=True), piece(b"67890"), headers=[(b"x-request-id", b"mine")])
    await trip.run()
    assert trip.start == (200, {b"a": b"b", b"x-content-type-options": b"nosniff", b"x-request-id": b"mine"})
    assert trip.body == b"1234567890"
    (record,) = trip.records
    assert (record.method, record.path, record.route) == ("POST", "/there", "unmatched")
    assert (record.status, record.request_id) == (200, "mine")
    assert trip.in_flight == 0


async def test_a_draining_server_closes_the_connection_after_the_response() -> None:
    trip = RoundTrip(echo, piece(b""))
    trip.lifecycle.advance(State.DRAINING)
    await trip.run()
    assert trip.start[1][b"connection"] == b"close"


@pytest.mark.parametrize(
    ("messages", "headers", "error", "detail"),
    [
        ([], [(b"content-length", b"11")], BodyTooLarge, "the body has more than 10 bytes; send fewer rows at once"),
        (
            [piece(b"123456", more=True), piece(b"78901")],
            [],
            BodyTooLarge,
            "the body has more than 10 bytes; send fewer rows at once",
        ),
        ([piece(b"1", more=True)], [], ReceiveTimeout, "the body did not arrive within 0.05 s; send it at once"),
    ],
)
async def test_a_body_above_a_limit_raises_in_the_application(
    messages: list[Message], headers: list[tuple[bytes, bytes]], error: type[Exception], detail: str
) -> None:
    raised: list[str] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(error) as caught:
            await echo(_scope, receive, send)
        raised.append(str(caught.value))

    trip = RoundTrip(application, *messages, headers=headers)
    await trip.run()
    assert raised == [detail]


async def test_an_unexpected_error_is_answered_recorded_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise KeyError("oh")

    trip = RoundTrip(fails, piece(b""), headers=[(b"x-request-id", b"mine")])
    with caplog.at_level(logging.ERROR):
        await trip.run()
    document = json.loads(trip.body)
    assert trip.start == (
        500,
        {
            b"content-type": b"application/problem+json",
            b"content-length": str(len(trip.body)).encode(),
            b"x-content-type-options": b"nosniff",
            b"x-request-id": b"mine",
        },
    )
    assert document == {
        "type": "urn:mlp-serving:internal-error",
        "title": "The server failed",
        "status": 500,
        "detail": "the server failed on this request; its log has the reason under this request id",
        "request_id": "mine",
    }
    (record,) = trip.records
    assert (record.status, record.problem) == (500, "internal-error")
    (logged,) = caplog.records
    assert logged.getMessage() == "request mine failed"
    assert "oh" in (logged.exc_text or "")


async def test_an_incomplete_response_is_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    async def fails_within(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("oh")

    trip = RoundTrip(fails_within, piece(b""))
    with pytest.raises(Exception, match="the server failed on this request"):
        await trip.run()
    assert [message["type"] for message in trip.sent] == ["http.response.start"]
    assert trip.records == []
    assert len(caplog.records) == 1


async def test_a_client_disconnect_is_not_an_error(caplog: pytest.LogCaptureFixture) -> None:
    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    trip = RoundTrip(application)
    await trip.run()
    assert (trip.sent, trip.records, trip.in_flight, caplog.records) == ([], [], 0, [])


async def test_anything_but_http_passes_through() -> None:
    seen: list[str] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    trip = RoundTrip(application, scope_type="lifespan")
    await trip.run()
    assert seen == ["lifespan"]
