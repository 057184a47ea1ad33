"""Valid, ambiguous, damaged and endless requests on both paths, byte by byte, in this process."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.http import problems
from tests.service.http.transport.both_paths import (
    CLOSED,
    LIMIT_BYTES,
    BothPaths,
    chunked,
    normal,
    on_both_paths,
    serving,
    statuses,
)
from tests.service.running import post

BODY = json.dumps({"inputs": [[0.5, -1.0, 2.0, 0.25]]}).encode()
GET = b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n"
H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA")


@pytest.fixture(scope="module")
def paths(shared_models: Path) -> Iterator[tuple[asyncio.Runner, BothPaths]]:
    with asyncio.Runner() as runner:
        context = serving(shared_models)
        yield runner, runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


Ask = Callable[..., bytes]


@pytest.fixture
def ask(paths: tuple[asyncio.Runner, BothPaths]) -> Ask:
    """The response of both paths, which must be the same."""
    runner, both = paths

    def answer(*parts: bytes, ends: bool = False) -> bytes:
        fast, fastapi = runner.run(both.raw_responses(*parts, ends=ends))
        assert normal(fast) == normal(fastapi)
        assert statuses(fast) == statuses(fastapi)
        return fast

    return answer


def cuts(request: bytes) -> Iterator[tuple[bytes, ...]]:
    """``request`` whole, in single bytes, and in two pieces, cut at several positions."""
    yield (request,)
    yield tuple(bytes([byte]) for byte in request)
    for cut in range(1, len(request), 29):
        yield request[:cut], request[cut:]


def with_headers(request: bytes, *headers: str) -> bytes:
    line, rest = request.split(b"\r\n", 1)
    return b"\r\n".join([line, *(header.encode() for header in headers), rest])


SMUGGLED = b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n"


@pytest.mark.parametrize("path", ["/health/ready?", "/predict?", "/"])
def test_a_long_path_or_query_is_rejected(ask: Ask, path: str) -> None:
    """To parse 64 kB of a query would hold up the event loop."""

    def get(size_bytes: int) -> bytes:
        return b"GET %b HTTP/1.1\r\nhost: test\r\n\r\n" % path.encode().ljust(size_bytes, b"a")

    assert statuses(ask(get(8192))) != [431]
    found = ask(get(8193))
    assert statuses(found) == [431]
    assert b"the path and query have more than 8192 bytes; send shorter ones" in found


def test_cookies_are_not_parsed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    monkeypatch.setattr("starlette.requests.cookie_parser", parsed.append)
    assert statuses(ask(with_headers(GET, "Cookie: a=b"))) == [200]
    assert parsed == []


UPGRADES = {
    "as Java does": H2C,
    "websocket": ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "and close": ("connection: close, upgrade", "upgrade: h2c"),
    "several": ("upgrade: h2c", "upgrade: websocket", "connection: upgrade", "x-request-id: mine"),
    "TLS": ("connection: UPGRADE", "upgrade: TLS/1.0, HTTP/1.1"),
}
UPGRADED = {
    "post": post(BODY),
    "post without a body": post(b""),
    "chunked": chunked(BODY),
    "get": GET,
    "http 1.0": post(BODY, version="1.0"),
    "a body that looks like a request": post(SMUGGLED),
    "a path that reads no body": post(SMUGGLED, "/nowhere"),
    "chunks that look like requests": chunked(SMUGGLED, pieces=1),
    "too large": post(b" " * (LIMIT_BYTES + 1)),
}


@pytest.mark.parametrize("request_", UPGRADED.values(), ids=UPGRADED)
@pytest.mark.parametrize("offer", UPGRADES.values(), ids=UPGRADES)
def test_an_upgrade_is_ignored(ask: Ask, request_: bytes, offer: tuple[str, ...]) -> None:
    upgraded = with_headers(request_, *offer) + GET
    plain = with_headers(request_, *(header for header in offer if not header.lower().startswith("upgrade"))) + GET
    expected = normal(ask(plain))
    for parts in cuts(upgraded) if len(upgraded) < 500 else [(upgraded,)]:
        assert normal(ask(*parts)) == expected
    assert normal(ask(upgraded, upgraded)).startswith(expected.removesuffix(CLOSED))


def test_connect_is_not_an_upgrade(ask: Ask) -> None:
    for parts in cuts(b"CONNECT test:80 HTTP/1.1\r\nhost: test:80\r\n\r\n" + GET):
        received = ask(*parts)
        assert statuses(received) == [400]
        assert received.endswith(CLOSED)


@pytest.mark.parametrize(
    "trailers",
    [
        "content-type: text/csv",
        "x-request-id: other",
        "content-encoding: gzip",
        "host: other\r\nhost: another",
        "connection: upgrade\r\nupgrade: h2c",
        "connection: close\r\nexpect: 100-continue",
        "a:\r\nb: c",
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/nowhere"])
def test_trailers_are_ignored(ask: Ask, trailers: str, path: str) -> None:
    plain = chunked(BODY, path)
    trailed = plain[:-2] + trailers.encode() + b"\r\n\r\n"
    expected = normal(ask(plain + GET))
    assert len(statuses(ask(plain + GET))) == 2
    for parts in cuts(trailed + GET):
        assert normal(ask(*parts)) == expected


AMBIGUOUS = {
    "no host": b"GET /models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "the same host twice": b"GET /models HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n",
    "an invalid host": b"GET /models HTTP/1.1\r\nhost: a/b\r\n\r\n",
    "a list of hosts": b"GET /models HTTP/1.1\r\nhost: a, b\r\n\r\n",
    "a host with a user": b"GET /models HTTP/1.1\r\nhost: me@a\r\n\r\n",
    "an invalid port": b"GET /models HTTP/1.1\r\nhost: a:b\r\n\r\n",
    "HTTP/2.0": b"GET /models HTTP/2.0\r\nhost: a\r\n\r\n",
    "HTTP/0.9": b"GET /models HTTP/0.9\r\nhost: a\r\n\r\n",
    "no version": b"GET /models\r\n\r\n",
    "HTTP/3.0": b"GET /models HTTP/3.0\r\nhost: a\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a prediction in HTTP/2.0": post(BODY, version="2.0"),
    "a prediction without host": post(BODY).replace(b"host: test\r\n", b""),
    "an authority": b"CONNECT /models HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET *": b"GET * HTTP/1.1\r\nhost: a\r\n\r\n",
    "a port above 65535": b"GET http://a:99999/models HTTP/1.1\r\nhost: a\r\n\r\n",
    "a target without host": b"GET http:///models HTTP/1.1\r\nhost: a\r\n\r\n",
    "a target without a slash": b"GET models HTTP/1.1\r\nhost: a\r\n\r\n",
    "an unknown method": b"FETCH /models HTTP/1.1\r\nhost: a\r\n\r\n",
    "gzip in chunks": with_headers(chunked(BODY), "transfer-encoding: gzip"),
    "gzip, chunked": chunked(BODY).replace(b"chunked", b"gzip, chunked"),
    "transfer-encoding: identity": post(BODY).replace(b"content-length: 36", b"transfer-encoding: identity"),
    "chunks twice": chunked(BODY).replace(b"chunked", b"chunked, chunked"),
    "chunks in HTTP/1.0": chunked(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "length and chunks": with_headers(chunked(BODY), "content-length: 36"),
    "chunks and length": chunked(BODY).replace(b"\r\n\r\n", b"\r\ncontent-length: 36\r\n\r\n", 1),
    "two lengths": with_headers(post(BODY), "content-length: 35"),
    "the same length twice": with_headers(post(BODY), "content-length: 36"),
    "a list of lengths": post(BODY).replace(b": 36", b": 36, 36"),
    "a signed length": post(BODY).replace(b": 36", b": +36"),
    "an empty length": post(BODY).replace(b": 36", b": "),
    "a folded header": with_headers(post(BODY), "a: b\r\n c"),
    "a NUL": with_headers(post(BODY), "a: b\0c"),
    "a bare CR": with_headers(post(BODY), "a: b\rc"),
    "bare LF": post(BODY).replace(b"\r\n", b"\n"),
    "a space before the colon": with_headers(post(BODY), "content-type : text/csv"),
    "a header without a name": with_headers(post(BODY), ": b"),
}


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_rejected(ask: Ask, request_: bytes) -> None:
    for parts in cuts(request_ + GET):
        received = ask(*parts)
        assert statuses(received) == [400]
        assert b'"urn:mlp-serving:malformed-request"' in received
        assert received.endswith(CLOSED)
        assert received.count(b"connection: close\r\n") == 1


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS)
@pytest.mark.parametrize("before", [post(BODY) + GET, post(b" " * (LIMIT_BYTES + 1)) + post(BODY)])
def test_a_rejection_follows_earlier_responses(ask: Ask, request_: bytes, before: bytes) -> None:
    earlier = ask(before)
    received = ask(before + request_)
    assert normal(received).startswith(normal(earlier))
    assert statuses(received) == [*statuses(earlier), 400]


def test_a_rejection_follows_many_errors(ask: Ask) -> None:
    """The parser goes on while an error response is sent."""
    misses = b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n" * 150
    assert statuses(ask(misses + b"GET /models HTTP/1.1\r\n\r\n")) == [404] * 150 + [400]


def test_requests_after_connection_close_are_ignored(ask: Ask) -> None:
    for last in (
        post(b"{", "/predict", "connection: close"),
        post(BODY, "/predict", "connection: close"),
        post(BODY, version="1.0"),
    ):
        received = ask(GET + last + post(BODY) + GET + b"\0")
        assert len(statuses(received)) == 2
        assert received.endswith(CLOSED)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (chunked(BODY)[:-5] + b"x\r\n", [400]),
        (chunked(BODY, "/nowhere")[:-5] + b"x\r\n", [404]),
        (chunked(b" " * (LIMIT_BYTES + 1))[:-5] + b"x\r\n", [413]),
        (with_headers(chunked(BODY), "expect: 100-continue")[:-5] + b"x\r\n", [100, 400]),
    ],
)
@pytest.mark.parametrize("before", [b"", post(BODY), GET + post(BODY)])
def test_an_error_within_a_body_is_the_response(ask: Ask, request_: bytes, before: bytes, expected: list[int]) -> None:
    answered = [200] * (before.count(b"POST") + before.count(b"GET"))
    for cut in (0, len(before) + 40, len(before) + 100, -3):
        received = ask(before + request_) if not cut else ask((before + request_)[:cut], (before + request_)[cut:])
        assert statuses(received) == [*answered, *expected]
        assert received.endswith(CLOSED)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET http://test/models HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        (b"GET HTTPS://me@other:99/models?x#y HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        (b"GET http://test HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        (b"GET http://test?x HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        (post(BODY, "http://test/predict"), 200),
        (b"GET /models HTTP/1.1\r\nhost:\r\n\r\n", 200),
        (b"GET /models HTTP/1.1\r\nHOST: [::1]:80\t \r\n\r\n", 200),
        (b"GET /models HTTP/1.0\r\n\r\n", 200),
        (b"\r\n\r\n" + GET, 200),
        (b"OPTIONS * HTTP/1.1\r\nhost: test\r\n\r\n", 405),
        (b"OPTIONS /models HTTP/1.1\r\nhost: test\r\n\r\n", 405),
        (b"PROPFIND /models HTTP/1.1\r\nhost: test\r\n\r\n", 405),
        (post(BODY, "/predict", "content-type: application/json \t"), 200),
        (post(BODY, "/predict", "content-encoding: identity "), 200),
    ],
)
def test_an_unambiguous_request_is_answered(ask: Ask, request_: bytes, expected: int) -> None:
    for parts in cuts(request_):
        received = ask(*parts)
        assert statuses(received) == [expected]
        if expected == 405:
            assert b"\r\nallow: " in received
            assert b'"urn:mlp-serving:method-not-allowed"' in received


# Not /docs, whose files are read in a thread: these clients do not wait for one.
PATHS = ["/models", "/models/small", "/health/live", "/health/ready", "/openapi.json", "/nowhere", "/predict"]


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_as_get_without_its_body(paths: tuple[asyncio.Runner, BothPaths], path: str) -> None:
    runner, both = paths
    get, head = (
        f"{method} {path} HTTP/1.1\r\nhost: test\r\nx-request-id: a\r\n\r\n".encode() for method in ("GET", "HEAD")
    )
    after_get, after_head = runner.run(both.raw_responses(get)), runner.run(both.raw_responses(head + head))
    for whole, twice_without_body in zip(after_get, after_head, strict=True):
        without_body = whole.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
        assert twice_without_body == without_body * 2


def test_an_ambiguous_head_request_is_rejected_without_a_body(ask: Ask) -> None:
    received = ask(b"HEAD /models HTTP/1.1\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.endswith(b"\r\n\r\n" + CLOSED)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(b" " * (LIMIT_BYTES + 1), "/predict", "expect: 100-continue"), 413),
        (post(BODY, "/nowhere", "expect: 100-continue"), 404),
        (post(BODY, "/models", "expect: 100-continue"), 405),
    ],
)
def test_a_rejected_100_continue_request_reads_no_body(ask: Ask, request_: bytes, expected: int) -> None:
    head, body = request_.split(b"\r\n\r\n", 1)
    for parts in [(head + b"\r\n\r\n",), (head + b"\r\n\r\n", body), (head + b"\r\n\r\n", GET), (request_ + GET,)]:
        received = ask(*parts)
        assert statuses(received) == [expected]
        assert received.count(b"connection: close\r\n") == 1
        assert received.endswith(CLOSED)


def test_100_continue_is_sent_in_http_1_1_only(ask: Ask) -> None:
    assert statuses(ask(post(BODY, "/predict", "expect: 100-continue"))) == [100, 200]
    assert statuses(ask(post(BODY, "/predict", "expect: 100-continue", version="1.0"))) == [200]


@pytest.mark.parametrize("before", [b"", GET, post(BODY) * 3])
@pytest.mark.parametrize("last", [GET, post(BODY), chunked(BODY), post(BODY, "/predict", *H2C)])
def test_a_client_that_ends_its_side_is_answered(ask: Ask, before: bytes, last: bytes) -> None:
    requests = before + last
    received = ask(requests, ends=True)
    assert statuses(received) == [200] * (requests.count(b"GET") + requests.count(b"POST"))
    assert received.endswith(CLOSED)
    for cut in range(len(before) + 1, len(requests), 31):
        received = ask(requests[:cut], ends=True)
        assert statuses(received) == [200] * (before.count(b"GET") + before.count(b"POST"))
        assert received.endswith(CLOSED)


@on_both_paths
@pytest.mark.anyio
async def test_a_client_that_ends_its_side_before_its_response_is_answered(shared_models: Path, *, fast: bool) -> None:
    async with serving(shared_models) as both:
        client = both.client(fast=fast)
        client.send(GET + post(BODY) * 5)
        client.end()  # before the event loop turns
        while not client.transport.gone:
            await client.settle()
    assert statuses(client.received) == [200] * 6


ENDLESS = {
    "trailers": (chunked(BODY)[:-2], b"a: bcdefghij\r\n"),
    "one trailer": (chunked(BODY)[:-2] + b"a: ", b"b" * 1000),
    "a chunk's extensions": (chunked(b"")[:-5] + b"1", b";a=b"),
    "chunks with extensions": (chunked(b"")[:-5], b"1;" + b"a" * 100 + b"=b\r\n \r\n"),
    "a chunk's size": (chunked(b"")[:-5], b"0" * 100),
    "headers": (b"GET / HTTP/1.1\r\nhost: test\r\n", b"a:\r\n"),
    "one header": (b"GET / HTTP/1.1\r\nhost: test\r\na: ", b"a"),
    "a target": (b"GET /", b"a" * 100),
    "spaces before a value": (b"GET / HTTP/1.1\r\na:", b" " * 100),
}


@on_both_paths
@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.anyio
async def test_an_endless_request_is_rejected_and_not_buffered(shared_models: Path, name: str, *, fast: bool) -> None:
    begin, more = ENDLESS[name]
    more *= 20_000 // len(more)
    async with serving(shared_models) as both:
        client = both.client(fast=fast)
        client.send(begin)
        tracemalloc.start()
        sent_bytes = 0
        while not client.transport.closed and sent_bytes < 2**20:
            await client.ask(more)
            sent_bytes += len(more)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        client.hang_up()
        assert both.buffered_bytes == 0
    assert statuses(client.received) == [431]
    assert client.received.count(b"connection: close\r\n") == 1
    assert sent_bytes <= 2**17
    assert peak_bytes < 2**19


@on_both_paths
@pytest.mark.parametrize("request_", [GET, post(b""), post(BODY), b"GET\r\n\r\n"])
@pytest.mark.anyio
async def test_pipelined_requests_are_not_parsed_ahead(shared_models: Path, request_: bytes, *, fast: bool) -> None:
    """They wait until the first is answered."""
    requests = request_ * (30_000 // len(request_))
    is_valid = not request_.startswith(b"GET\r")
    async with serving(shared_models) as both:
        client = both.client(fast=fast)
        client.send(GET[:-2])
        tracemalloc.start()
        client.send(b"\r\n" + requests)  # the application runs in the next turn of the event loop
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert not client.transport.reading
        assert len(client.protocol.pipeline) < 200
        assert (both.buffered_bytes > 20_000) == is_valid
        await client.settle()
        client.hang_up()
    assert len(statuses(client.received)) == (1 + len(requests) // len(request_) if is_valid else 2)
    assert peak_bytes < 2**19


@on_both_paths
@pytest.mark.anyio
async def test_unparsed_bytes_and_heads_count_in_the_budget(shared_models: Path, *, fast: bool) -> None:
    async with serving(shared_models, max_buffered_bytes=2**15) as both:
        clients = [both.client(fast=fast) for _ in range(3)]
        for client in clients:
            await client.ask(b"GET / HTTP/1.1\r\na: " + b"b" * 15_000)
        assert [statuses(client.received) for client in clients] == [[], [], [429]]
        assert clients[2].transport.ended
        for client in clients:
            client.hang_up()
        assert both.buffered_bytes == 0
        client = both.client(fast=fast)
        await client.ask(GET + GET * 2000)
        client.hang_up()
        assert both.buffered_bytes == 0
    *answered, rejected = statuses(client.received)
    assert set(answered) == {200}
    assert rejected == 429


@pytest.mark.anyio
async def test_empty_lines_do_not_keep_a_connection_open(shared_models: Path) -> None:
    async with asyncio.timeout(30), serving(shared_models) as both:
        both.config.timeout_keep_alive = 0.05  # type: ignore[assignment]
        client = both.client(fast=True)
        while not client.transport.gone:
            client.send(b"\r\n")
            await asyncio.sleep(0.005)


LAST_SENT = {
    "nothing": b"",
    "half a head": GET[:-5],
    "half a body": post(BODY)[:-5],
    "half a body for a page": post(BODY, "/nowhere")[:-5],
    "a page": GET,
    "a prediction": post(BODY),
    "a bad prediction": post(b"{"),
    "a missing page": b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n",
    "a bad head": b"GET /models HTTP/1.1\r\n\r\n",
    "garbage": b"\0",
    "a bad body": chunked(BODY)[:-5] + b"x\r\n",
    "an upgrade": post(BODY, "/predict", *H2C),
    "trailers": chunked(BODY)[:-2] + b"a: b\r\n" * 1000,
    "too large": post(b" " * (LIMIT_BYTES + 1)),
    "pipelined requests": (GET + post(BODY)) * 30,
    "pipelined requests and garbage": (post(BODY) + GET) * 30 + b"\0",
}


@pytest.mark.parametrize("settles", [True, False], ids=["answered", "not answered"])
@on_both_paths
@pytest.mark.parametrize("sent", LAST_SENT.values(), ids=LAST_SENT)
def test_a_closed_connection_leaves_nothing_in_memory(
    paths: tuple[asyncio.Runner, BothPaths], sent: bytes, *, fast: bool, settles: bool
) -> None:
    """Even before the garbage collector runs."""
    runner, both = paths

    async def references() -> list[weakref.ref[object]]:
        client = both.client(fast=fast)
        client.send(sent)
        protocol = client.protocol
        parts: list[object] = [protocol, *(cycle for cycle, _ in protocol.pipeline)]
        parts += [part for part in (protocol.cycle, protocol.closing, protocol.receive_timer) if part is not None]
        found = [weakref.ref(part) for part in parts]
        del parts, protocol
        if settles:
            await client.settle()
        client.hang_up()
        await client.settle()
        return found

    runner.run(both.raw_responses(sent))  # fill the caches
    gc.collect()
    gc.disable()
    try:
        found = runner.run(references())
        assert [reference() for reference in found if reference() is not None] == []
    finally:
        gc.enable()


def test_every_problem_sent_is_documented(ask: Ask) -> None:
    known = {name for _, name, _ in problems.PROBLEMS.values()}
    sent = [*AMBIGUOUS.values(), *LAST_SENT.values(), b"TRACE /docs HTTP/1.1\r\nhost: a\r\n\r\n"]
    received = b"".join(ask(request) for request in sent)
    found = {name.decode() for name in re.findall(rb'"urn:mlp-serving:([a-z-]+)"', received)}
    assert found <= known
    assert found >= {"malformed-request", "malformed-body", "not-found", "method-not-allowed", "body-too-large"}


def test_both_paths_answer_random_clients_alike(ask: Ask) -> None:
    """Pipelined requests, some damaged, in random pieces."""
    drawn = random.Random(11)  # noqa: S311 - nothing is secret
    good = [*UPGRADED.values(), *(with_headers(request, *H2C) for request in UPGRADED.values()), GET, post(BODY)]
    good += [chunked(BODY)[:-2] + b"a: b\r\n\r\n", post(BODY, "/predict", "expect: 100-continue")]
    pool = [request for request in [*good, *good, *AMBIGUOUS.values()] if len(request) < 1000]
    for _ in range(150):
        sent = bytearray(b"".join(drawn.choices(pool, k=drawn.randint(1, 5))))
        for _ in range(drawn.choice([0, 0, 1, 2])):
            at = drawn.randrange(len(sent))
            sent[at : at + drawn.randint(0, 3)] = drawn.choice(
                [drawn.randbytes(2), b"\r\n", b":", b"0", b" ", sent[:20]]
            )
        at, parts = 0, []
        while at < len(sent):
            size = drawn.choice([1, 10, 100, 1000, 10_000])
            parts.append(bytes(sent[at : at + size]))
            at += size
        ask(*parts, ends=drawn.random() < 0.3)
