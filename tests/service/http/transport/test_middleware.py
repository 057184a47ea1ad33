"""The ASGI middleware in front of an application made for the test: ids, bounds, the tracker, and what goes wrong."""

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

Application = Callable[[Scope, Receive, Send], Any]


class Asked:
    """One request through the guard: what was sent back, and what the tracker was told."""

    def __init__(
        self, application: Application, *messages: Message, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        self.sent: list[Message] = []
        self.records: list[RequestRecord] = []
        self.open = -1
        self.lifecycle = Lifecycle(changed=lambda _: None)
        self._application = application
        self._messages = list(messages)
        self._scope: Scope = {"type": "http", "method": "POST", "path": "/there", "headers": headers or []}

    async def run(self) -> None:
        tracker = RequestTracker([self.records.extend], self._note_open, asyncio.get_running_loop().time)
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
        tracker._tell()

    @property
    def start(self) -> tuple[int, dict[bytes, bytes]]:
        return self.sent[0]["status"], dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    def _note_open(self, count: int) -> None:
        self.open = count

    async def _receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def reads(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was read."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": body})


def test_a_request_passes_with_its_id_and_into_the_journal() -> None:
    asked = Asked(reads, piece(b"12345", more=True), piece(b"67890"), headers=[(b"x-request-id", b"mine")])
    asyncio.run(asked.run())
    assert asked.start == (200, {b"a": b"b", b"x-request-id": b"mine"})
    assert asked.body == b"1234567890"
    (record,) = asked.records
    assert (record.method, record.path, record.route) == ("POST", "/there", "unmatched")
    assert (record.status, record.request_id) == (200, "mine")
    assert asked.open == 0


def test_while_the_server_drains_the_connection_is_closed_after_the_answer() -> None:
    asked = Asked(reads, piece(b""))
    asked.lifecycle.advance(State.DRAINING)
    asyncio.run(asked.run())
    assert asked.start[1][b"connection"] == b"close"


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
def test_a_body_out_of_bounds_is_told_to_who_reads_it(
    messages: list[Message], headers: list[tuple[bytes, bytes]], error: type[Exception], detail: str
) -> None:
    told: list[str] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(error) as refused:
            await reads(_scope, receive, send)
        told.append(str(refused.value))

    asked = Asked(application, *messages, headers=headers)
    asyncio.run(asked.run())
    assert told == [detail]


def test_what_nobody_foresaw_is_answered_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise KeyError("oh")

    asked = Asked(fails, piece(b""), headers=[(b"x-request-id", b"mine")])
    with caplog.at_level(logging.ERROR):
        asyncio.run(asked.run())
    document = json.loads(asked.body)
    assert asked.start == (
        500,
        {
            b"content-type": b"application/problem+json",
            b"content-length": str(len(asked.body)).encode(),
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
    (record,) = asked.records
    assert (record.status, record.problem) == (500, "internal-error")
    (logged,) = caplog.records
    assert logged.getMessage() == "request mine failed"
    assert "oh" in (logged.exc_text or "")


def test_an_answer_that_breaks_off_is_not_counted_as_given(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_off(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("oh")

    asked = Asked(breaks_off, piece(b""))
    with pytest.raises(Exception, match="the server failed on this request"):
        asyncio.run(asked.run())
    assert [message["type"] for message in asked.sent] == ["http.response.start"]
    assert asked.records == []
    assert len(caplog.records) == 1


def test_a_client_that_is_gone_is_nobodys_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    asked = Asked(application)
    asyncio.run(asked.run())
    assert (asked.sent, asked.records, asked.open, caplog.records) == ([], [], 0, [])


def test_what_is_not_http_passes_untouched() -> None:
    seen: list[str] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    asked = Asked(application)
    asked._scope = {"type": "lifespan"}
    asyncio.run(asked.run())
    assert seen == ["lifespan"]
