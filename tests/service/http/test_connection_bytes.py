"""What a client may send beside good requests, byte by byte and without end, to both doors in this process."""

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
from tests.service.http.doors import LIMIT_BYTES, Doors, chunked, normal, post, running, statuses
from tests.service.published import publish

BODY = json.dumps({"inputs": [[0.5, -1.0, 2.0, 0.25]]}).encode()
GET = b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n"
H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def doors(models: Path) -> Iterator[tuple[asyncio.Runner, Doors]]:
    with asyncio.Runner() as runner:
        context = running(models)
        yield runner, runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


Ask = Callable[..., bytes]


@pytest.fixture
def ask(doors: tuple[asyncio.Runner, Doors]) -> Ask:
    """What both doors answer, which has to be the same."""
    runner, both = doors

    def answer(*parts: bytes, ends: bool = False) -> bytes:
        by_express, by_asgi = runner.run(both.raw_answers(*parts, ends=ends))
        assert normal(by_express) == normal(by_asgi)
        assert statuses(by_express) == statuses(by_asgi)
        return by_express

    return answer


def cuts(request: bytes) -> Iterator[tuple[bytes, ...]]:
    """``request`` whole, in single bytes, and in two pieces, cut here and there."""
    yield (request,)
    yield tuple(bytes([byte]) for byte in request)
    for cut in range(1, len(request), 29):
        yield request[:cut], request[cut:]


def with_headers(request: bytes, *headers: str) -> bytes:
    line, rest = request.split(b"\r\n", 1)
    return b"\r\n".join([line, *(header.encode() for header in headers), rest])


SMUGGLED = b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n"
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
@pytest.mark.parametrize("placement", UPGRADES.values(), ids=UPGRADES)
def test_an_upgrade_is_ignored(ask: Ask, request_: bytes, placement: tuple[str, ...]) -> None:
    upgraded = with_headers(request_, *placement) + GET
    plain = with_headers(request_, *(header for header in placement if not header.lower().startswith("upgrade"))) + GET
    expected = normal(ask(plain))
    for parts in cuts(upgraded) if len(upgraded) < 500 else [(upgraded,)]:
        assert normal(ask(*parts)) == expected
    assert normal(ask(upgraded, upgraded)).startswith(expected.removesuffix(b"<closed>"))


def test_a_connect_is_no_upgrade(ask: Ask) -> None:
    for parts in cuts(b"CONNECT test:80 HTTP/1.1\r\nhost: test:80\r\n\r\n" + GET):
        said = ask(*parts)
        assert statuses(said) == [400]
        assert said.endswith(b"<closed>")


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
def test_trailers_say_nothing(ask: Ask, trailers: str, path: str) -> None:
    plain = chunked(BODY, path)
    trailed = plain[:-2] + trailers.encode() + b"\r\n\r\n"
    expected = normal(ask(plain + GET))
    assert len(statuses(ask(plain + GET))) == 2
    for parts in cuts(trailed + GET):
        assert normal(ask(*parts)) == expected


DOUBTFUL = {
    "no host": b"GET /models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "the same host twice": b"GET /models HTTP/1.0\r\nhost: a\r\nhost: a\r\n\r\n",
    "a host that is none": b"GET /models HTTP/1.1\r\nhost: a/b\r\n\r\n",
    "a list of hosts": b"GET /models HTTP/1.1\r\nhost: a, b\r\n\r\n",
    "a host with a user": b"GET /models HTTP/1.1\r\nhost: me@a\r\n\r\n",
    "a port that is none": b"GET /models HTTP/1.1\r\nhost: a:b\r\n\r\n",
    "HTTP/2.0": b"GET /models HTTP/2.0\r\nhost: a\r\n\r\n",
    "HTTP/0.9": b"GET /models HTTP/0.9\r\nhost: a\r\n\r\n",
    "no version": b"GET /models\r\n\r\n",
    "HTTP/3.0": b"GET /models HTTP/3.0\r\nhost: a\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a prediction in HTTP/2.0": post(BODY, version="2.0"),
    "a head of a prediction without host": post(BODY).replace(b"host: test\r\n", b""),
    "an authority": b"CONNECT /models HTTP/1.1\r\nhost: a\r\n\r\n",
    "a star of GET": b"GET * HTTP/1.1\r\nhost: a\r\n\r\n",
    "a port without end": b"GET http://a:99999/models HTTP/1.1\r\nhost: a\r\n\r\n",
    "a target without host": b"GET http:///models HTTP/1.1\r\nhost: a\r\n\r\n",
    "a target that is none": b"GET models HTTP/1.1\r\nhost: a\r\n\r\n",
    "no method": b"FETCH /models HTTP/1.1\r\nhost: a\r\n\r\n",
    "gzip in chunks": with_headers(chunked(BODY), "transfer-encoding: gzip"),
    "gzip, chunked": chunked(BODY).replace(b"chunked", b"gzip, chunked"),
    "no chunks": post(BODY).replace(b"content-length: 36", b"transfer-encoding: identity"),
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
    "a blank before the colon": with_headers(post(BODY), "content-type : text/csv"),
    "a header without a name": with_headers(post(BODY), ": b"),
}


@pytest.mark.parametrize("request_", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_leaves_a_doubt_is_refused(ask: Ask, request_: bytes) -> None:
    for parts in cuts(request_ + GET):
        said = ask(*parts)
        assert statuses(said) == [400]
        assert b'"urn:mlp-serving:malformed-request"' in said
        assert said.endswith(b"<closed>")
        assert said.count(b"connection: close\r\n") == 1


@pytest.mark.parametrize("request_", DOUBTFUL.values(), ids=DOUBTFUL)
@pytest.mark.parametrize("before", [post(BODY) + GET, post(b" " * (LIMIT_BYTES + 1)) + post(BODY)])
def test_an_error_waits_for_its_turn(ask: Ask, request_: bytes, before: bytes) -> None:
    earlier = ask(before)
    said = ask(before + request_)
    assert normal(said).startswith(normal(earlier))
    assert statuses(said) == [*statuses(earlier), 400]


def test_an_error_behind_many_misses_is_told(ask: Ask) -> None:
    """Where the parser goes on as an answer is given that is an error itself."""
    misses = b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n" * 150
    assert statuses(ask(misses + b"GET /models HTTP/1.1\r\n\r\n")) == [404] * 150 + [400]


def test_nothing_is_begun_after_the_last_answer(ask: Ask) -> None:
    for last in (
        post(b"{", "/predict", "connection: close"),
        post(BODY, "/predict", "connection: close"),
        post(BODY, version="1.0"),
    ):
        said = ask(GET + last + post(BODY) + GET + b"\0")
        assert len(statuses(said)) == 2
        assert said.endswith(b"<closed>")


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
def test_an_error_amid_a_body_is_that_requests_answer(
    ask: Ask, request_: bytes, before: bytes, expected: list[int]
) -> None:
    answered = [200] * (before.count(b"POST") + before.count(b"GET"))
    for cut in (0, len(before) + 40, len(before) + 100, -3):
        said = ask(before + request_) if not cut else ask((before + request_)[:cut], (before + request_)[cut:])
        assert statuses(said) == [*answered, *expected]
        assert said.endswith(b"<closed>")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET http://test/models HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        (b"GET HTTPS://me@other:99/models?x#y HTTP/1.1\r\nhost: test\r\n\r\n", 200),
        (b"GET http://test HTTP/1.1\r\nhost: test\r\n\r\n", 404),
        (b"GET http://test?x HTTP/1.1\r\nhost: test\r\n\r\n", 404),
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
def test_what_leaves_no_doubt_is_answered(ask: Ask, request_: bytes, expected: int) -> None:
    for parts in cuts(request_):
        said = ask(*parts)
        assert statuses(said) == [expected]
        if expected == 405:
            assert b"\r\nallow: " in said
            assert b'"urn:mlp-serving:method-not-allowed"' in said


PATHS = ["/models", "/models/small", "/health/live", "/health/ready", "/docs", "/openapi.json", "/nowhere", "/predict"]


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_as_get_without_its_body(doors: tuple[asyncio.Runner, Doors], path: str) -> None:
    runner, both = doors
    get, head = (
        f"{method} {path} HTTP/1.1\r\nhost: test\r\nx-request-id: a\r\n\r\n".encode() for method in ("GET", "HEAD")
    )
    for whole, short in zip(runner.run(both.raw_answers(get)), runner.run(both.raw_answers(head + head)), strict=True):
        without_body = whole.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
        assert short == without_body * 2


def test_head_that_leaves_a_doubt_is_told_so_without_a_body(ask: Ask) -> None:
    said = ask(b"HEAD /models HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.endswith(b"\r\n\r\n<closed>")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(b" " * (LIMIT_BYTES + 1), "/predict", "expect: 100-continue"), 413),
        (post(BODY, "/nowhere", "expect: 100-continue"), 404),
        (post(BODY, "/models", "expect: 100-continue"), 405),
    ],
)
def test_a_body_that_was_not_asked_for_is_not_waited_for(ask: Ask, request_: bytes, expected: int) -> None:
    head, body = request_.split(b"\r\n\r\n", 1)
    for parts in [(head + b"\r\n\r\n",), (head + b"\r\n\r\n", body), (head + b"\r\n\r\n", GET), (request_ + GET,)]:
        said = ask(*parts)
        assert statuses(said) == [expected]
        assert said.count(b"connection: close\r\n") == 1
        assert said.endswith(b"<closed>")


def test_a_body_is_asked_for_in_http_1_1_alone(ask: Ask) -> None:
    assert statuses(ask(post(BODY, "/predict", "expect: 100-continue"))) == [100, 200]
    assert statuses(ask(post(BODY, "/predict", "expect: 100-continue", version="1.0"))) == [200]


@pytest.mark.parametrize("before", [b"", GET, post(BODY) * 3])
@pytest.mark.parametrize("last", [GET, post(BODY), chunked(BODY), post(BODY, "/predict", *H2C)])
def test_a_client_that_ends_its_side_is_answered(ask: Ask, before: bytes, last: bytes) -> None:
    requests = before + last
    said = ask(requests, ends=True)
    assert statuses(said) == [200] * (requests.count(b"GET") + requests.count(b"POST"))
    assert said.endswith(b"<closed>")
    for cut in range(len(before) + 1, len(requests), 31):
        said = ask(requests[:cut], ends=True)
        assert statuses(said) == [200] * (before.count(b"GET") + before.count(b"POST"))
        assert said.endswith(b"<closed>")


@pytest.mark.parametrize("through_express", [True, False])
def test_a_client_that_ends_its_side_before_its_answer_is_answered(models: Path, *, through_express: bool) -> None:
    async def story() -> list[int]:
        async with running(models) as doors:
            client = doors.client(through_express=through_express)
            client.send(GET + post(BODY) * 5)
            client.end()  # before anything of it has run
            while not client.wire.gone:
                await client.settle()
            return statuses(bytes(client.wire.sent))

    assert asyncio.run(story()) == [200] * 6


ENDLESS = {
    "trailers": (chunked(BODY)[:-2], b"a: bcdefghij\r\n"),
    "one trailer": (chunked(BODY)[:-2] + b"a: ", b"b" * 1000),
    "a chunk's extensions": (chunked(b"")[:-5] + b"1", b";a=b"),
    "chunks with extensions": (chunked(b"")[:-5], b"1;" + b"a" * 100 + b"=b\r\n \r\n"),
    "a chunk's size": (chunked(b"")[:-5], b"0" * 100),
    "headers": (b"GET / HTTP/1.1\r\nhost: test\r\n", b"a:\r\n"),
    "one header": (b"GET / HTTP/1.1\r\nhost: test\r\na: ", b"a"),
    "a target": (b"GET /", b"a" * 100),
    "blanks before a value": (b"GET / HTTP/1.1\r\na:", b" " * 100),
}


@pytest.mark.parametrize("through_express", [True, False])
@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_refused_and_not_kept(models: Path, name: str, *, through_express: bool) -> None:
    begin, more = ENDLESS[name]
    more *= 20_000 // len(more)

    async def story() -> tuple[bytes, int, int]:
        async with running(models) as doors:
            client = doors.client(through_express=through_express)
            client.send(begin)
            tracemalloc.start()
            sent_bytes = 0
            while not client.wire.closed and sent_bytes < 2**20:
                client.send(more)
                await client.settle()
                sent_bytes += len(more)
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            client.hang_up()
            assert doors.service.fast_path.bodies.held_bytes == 0
            return bytes(client.wire.sent), sent_bytes, peak_bytes

    said, sent_bytes, peak_bytes = asyncio.run(story())
    assert statuses(said) == [431]
    assert said.count(b"connection: close\r\n") == 1
    assert sent_bytes <= 2**17
    assert peak_bytes < 2**19


@pytest.mark.parametrize("through_express", [True, False])
@pytest.mark.parametrize("request_", [GET, post(b""), post(BODY), b"GET\r\n\r\n"])
def test_requests_without_end_are_not_parsed_ahead(models: Path, request_: bytes, *, through_express: bool) -> None:
    """As long as the first is not answered; then all of them are."""
    requests = request_ * (30_000 // len(request_))

    async def story() -> tuple[int, int]:
        async with running(models) as doors:
            client = doors.client(through_express=through_express)
            client.send(GET[:-2])
            tracemalloc.start()
            client.send(b"\r\n" + requests)  # the application runs in the loop's next turn
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert not client.wire.reading
            assert len(client.protocol.pipeline) < 200
            held_bytes = doors.service.fast_path.bodies.held_bytes
            assert (held_bytes > 20_000) != request_.startswith(b"GET\r")
            await client.settle()
            client.hang_up()
            return len(statuses(bytes(client.wire.sent))), peak_bytes

    answered, peak_bytes = asyncio.run(story())
    assert answered == (2 if request_.startswith(b"GET\r") else 1 + len(requests) // len(request_))
    assert peak_bytes < 2**19


@pytest.mark.parametrize("through_express", [True, False])
def test_what_is_not_parsed_yet_is_counted(models: Path, *, through_express: bool) -> None:
    async def story() -> list[int]:
        async with running(models, max_held_bytes=2**15) as doors:
            heads = [doors.client(through_express=through_express) for _ in range(3)]
            for client in heads:
                client.send(b"GET / HTTP/1.1\r\na: " + b"b" * 15_000)
                await client.settle()
            assert [statuses(bytes(client.wire.sent)) for client in heads] == [[], [], [429]]
            assert heads[2].wire.ended
            for client in heads:
                client.hang_up()
            assert doors.service.fast_path.bodies.held_bytes == 0
            client = doors.client(through_express=through_express)
            client.send(GET + GET * 2000)
            await client.settle()
            client.hang_up()
            assert doors.service.fast_path.bodies.held_bytes == 0
            return statuses(bytes(client.wire.sent))

    *answered, refused = asyncio.run(story())
    assert set(answered) == {200}
    assert refused == 429


def test_blank_lines_do_not_keep_a_connection_open(models: Path) -> None:
    async def story() -> None:
        async with running(models) as doors:
            doors.config.timeout_keep_alive = 0.05  # type: ignore[assignment]
            client = doors.client(through_express=True)
            while not client.wire.gone:
                client.send(b"\r\n")
                await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(story(), 30))


LEFT = {
    "nothing": b"",
    "half a head": GET[:-5],
    "half a body": post(BODY)[:-5],
    "half a body for a page": post(BODY, "/nowhere")[:-5],
    "a page": GET,
    "a prediction": post(BODY),
    "a remembered prediction": post(BODY) * 1,
    "a bad prediction": post(b"{"),
    "a missing page": b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n",
    "a bad head": b"GET /models HTTP/1.1\r\n\r\n",
    "garbage": b"\0",
    "a bad body": chunked(BODY)[:-5] + b"x\r\n",
    "an upgrade": post(BODY, "/predict", *H2C),
    "trailers": chunked(BODY)[:-2] + b"a: b\r\n" * 1000,
    "too large": post(b" " * (LIMIT_BYTES + 1)),
    "a row": (GET + post(BODY)) * 30,
    "a row that breaks": (post(BODY) + GET) * 30 + b"\0",
}


@pytest.mark.parametrize("settles", [True, False], ids=["answered", "not answered"])
@pytest.mark.parametrize("through_express", [True, False], ids=["express", "asgi"])
@pytest.mark.parametrize("sent", LEFT.values(), ids=LEFT)
def test_a_closed_connection_leaves_nothing(
    doors: tuple[asyncio.Runner, Doors], sent: bytes, *, through_express: bool, settles: bool
) -> None:
    """Without the collector's help."""
    runner, both = doors

    async def story() -> list[weakref.ref[object]]:
        client = both.client(through_express=through_express)
        client.send(sent)
        protocol = client.protocol
        told: list[object] = [protocol, *(cycle for cycle, _ in protocol.pipeline)]
        told += [part for part in (protocol.cycle, protocol._line) if part is not None]
        kept = [weakref.ref(part) for part in told]
        del told, protocol
        if settles:
            await client.settle()
        client.hang_up()
        await client.settle()
        return kept

    runner.run(both.raw_answers(sent))  # what is made once
    gc.collect()
    gc.disable()
    try:
        kept = runner.run(story())
        assert [reference() for reference in kept if reference() is not None] == []
    finally:
        gc.enable()


def test_every_problem_that_is_told_is_one_of_the_table(ask: Ask) -> None:
    known = {name for _, name, _ in problems.PROBLEMS.values()}
    said = b"".join(
        ask(request) for request in [*DOUBTFUL.values(), *LEFT.values(), b"TRACE /docs HTTP/1.1\r\nhost: a\r\n\r\n"]
    )
    told = {name.decode() for name in re.findall(rb'"urn:mlp-serving:([a-z-]+)"', said)}
    assert {"malformed-request", "malformed-body", "not-found", "method-not-allowed", "body-too-large"} <= told <= known


def test_both_doors_answer_what_random_clients_send_alike(ask: Ask) -> None:
    """Rows of requests, some damaged, in random pieces."""
    drawn = random.Random(11)  # noqa: S311 - nothing is secret
    good = [*UPGRADED.values(), *(with_headers(request, *H2C) for request in UPGRADED.values()), GET, post(BODY)]
    good += [chunked(BODY)[:-2] + b"a: b\r\n\r\n", post(BODY, "/predict", "expect: 100-continue")]
    pool = [request for request in [*good, *good, *DOUBTFUL.values()] if len(request) < 1000]
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
