"""What every answer of both paths says: do not guess types, whether the connection is kept; not what serves it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator

import pytest

from tests.service.http.transport.both_paths import CLOSED, serving
from tests.service.http.transport.test_fast_path import REQUESTS
from tests.service.published import TABLE, publish
from tests.service.running import post

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PAGES = {
    path: f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()
    for path in (
        "/",
        "/status",
        "/page/main.js",
        "/openapi.json",
        "/models",
        "/health/live",
        "/no",
        "/page/no",
    )
}
HEAD = {"head": b"HEAD /models HTTP/1.1\r\nhost: test\r\n\r\n", "close": post({}, "/models", "connection: close")}
OLD = {"1.0, keep-alive": post({}, "/models", "connection: keep-alive", version="1.0")}

Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The responses of both paths, the fast path's first."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder, shape=(2, 2))
    publish(folder, "table", features=TABLE)
    publish(folder, "position", targets=("x", "y"))
    with asyncio.Runner() as runner:
        context = serving(folder, keep_alive_timeout_s=75)
        both = runner.run(context.__aenter__())
        yield lambda *parts: runner.run(both.raw_responses(*parts))
        runner.run(context.__aexit__(None, None, None))


def heads(received: bytes) -> list[bytes]:
    """The heads of all responses."""
    return re.findall(rb"HTTP/1\.1 [2-5]\d\d .+?\r\n\r\n", received, re.DOTALL)


@pytest.mark.parametrize(
    "request_",
    [*REQUESTS.values(), *PAGES.values(), *HEAD.values(), *OLD.values()],
    ids=[*REQUESTS, *PAGES, *HEAD, *OLD],
)
def test_every_answer_has_the_headers_once(ask: Ask, request_: bytes) -> None:
    for received in ask(request_):
        found = heads(received)
        assert found
        for index, head in enumerate(found):
            assert head.count(b"\r\nx-content-type-options: nosniff\r\n") == 1
            assert not re.search(rb"\r\n(server|x-powered-by|via):", head)
            assert b"uvicorn" not in head
            assert head.count(b"\r\nx-request-id: ") == 1
            closes = received.endswith(CLOSED) and index == len(found) - 1
            assert head.count(b"\r\nconnection: close\r\n") == closes
            assert head.count(b"\r\nkeep-alive: timeout=75\r\n") == (not closes)
