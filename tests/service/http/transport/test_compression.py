"""Large answers in gzip, if the client takes it: the same bytes inside, on both paths, and small ones as they are."""

from __future__ import annotations

import asyncio
import gzip
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.errors import StartError
from service.http.transport.compression import Compression
from tests.service.http.transport.both_paths import BothPaths, Client, on_both_paths, serving
from tests.service.published import publish
from tests.service.running import post

MANY = {"inputs": [[0.5, -1.0, 2.0, float(index)] for index in range(50)]}
GZIP = "accept-encoding: gzip"

Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, shape=(2, 2))
    return folder


async def answer(client: Client, request: bytes) -> bytes:
    """The whole response to ``request``."""
    client.send(request)
    async with asyncio.timeout(60):
        while not is_complete(client.received):
            await asyncio.sleep(0.001)
    return client.received


def is_complete(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return bool(end) and (b" 304 " in head or (length is not None and len(body) >= int(length[1])))


@pytest.fixture(scope="module")
def ask(models: Path) -> Iterator[Ask]:
    """The responses of both paths, the fast path's first."""

    async def both_answers(both: BothPaths, request: bytes) -> tuple[bytes, bytes]:
        found = []
        for fast in (True, False):
            client = both.client(fast=fast)
            found.append(re.sub(rb"[0-9a-f]{12}-[0-9]+", b"<id>", await answer(client, request)))
            client.hang_up()
        return found[0], found[1]

    with asyncio.Runner() as runner:
        context = serving(models, gzip_over_bytes=1024)
        both = runner.run(context.__aenter__())
        yield lambda request: runner.run(both_answers(both, request))
        runner.run(context.__aexit__(None, None, None))


def plain(ask: Ask, *headers: str) -> bytes:
    return ask(post(MANY, "/predict", *headers))[0].partition(b"\r\n\r\n")[2]


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: test", *headers, "", ""]).encode()


@pytest.mark.parametrize("path", ["/predict", "/models/small/predict", "/invocations", "/v1/models/small:predict"])
def test_a_large_answer_is_compressed_alike_on_both_paths(ask: Ask, path: str) -> None:
    body = {"instances": MANY["inputs"]} if path.startswith("/v1") else MANY
    fast, fastapi = ask(post(body, path, GZIP))
    assert fast == fastapi
    head, _, compressed = fast.partition(b"\r\n\r\n")
    assert b"\r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\n" in head
    assert head.count(b"content-length") == 1
    whole, whole_fastapi = ask(post(body, path))
    assert whole == whole_fastapi
    assert b"\r\nvary: accept-encoding\r\n" in whole
    assert b"content-encoding" not in whole
    assert gzip.decompress(compressed) == whole.partition(b"\r\n\r\n")[2]
    assert len(compressed) < len(gzip.decompress(compressed)) / 1.5


@pytest.mark.parametrize(
    ("accepted", "is_gzip"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("gzip;q=0.001", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("*;q=0", False),
        ("gzip;q=0.4, identity;q=0.5", False),
        ("gzip;q=no", False),
        ("gzip;q=nan", False),
        ("gzipped", False),
        ("a" * 60_000, False),
    ],
)
def test_the_clients_preference_counts(ask: Ask, accepted: str, *, is_gzip: bool) -> None:
    fast, fastapi = ask(post(MANY, "/predict", f"accept-encoding: {accepted}"))
    assert fast == fastapi
    assert (b"\r\ncontent-encoding: gzip\r\n" in fast) == is_gzip


def test_small_answers_errors_and_numbers_as_bytes_stay_as_they_are(ask: Ask) -> None:
    for request in (
        post({"inputs": MANY["inputs"][:1]}, "/predict", GZIP),
        post({"inputs": [["x" * 100] * 4] * 30}, "/predict?on_error=row", GZIP),
        post(MANY, "/predict", GZIP, "accept: application/x-npy"),
        get("/health/live", GZIP),
    ):
        fast, fastapi = ask(request)
        assert fast == fastapi
        assert b"content-encoding" not in fast
        assert b"accept-encoding" not in fast


def test_pages_are_compressed_and_their_tags_stand_for_both_forms(ask: Ask) -> None:
    for path in ("/page/main.js", "/openapi.json", "/metrics"):
        fast, fastapi = ask(get(path, GZIP))
        assert b"\r\ncontent-encoding: gzip\r\n" in fast
        if path != "/metrics":
            assert fast == fastapi
    fast, _ = ask(get("/page/main.js", GZIP))
    tag = re.search(rb'\r\netag: (W/"\w+")\r\n', fast)
    assert tag is not None
    answers = ask(get("/page/main.js", GZIP, f"if-none-match: {tag[1].decode()}"))
    assert answers[0].startswith(b"HTTP/1.1 304 ")


@pytest.mark.anyio
@on_both_paths
async def test_requests_behind_a_compressed_one_are_answered_in_order(models: Path, *, fast: bool) -> None:
    async with serving(models, gzip_over_bytes=1024) as both:
        client = both.client(fast=fast)
        client.send(
            post(MANY, "/predict", GZIP, "x-request-id: first")
            + post({"inputs": MANY["inputs"][:1]}, "/predict", "x-request-id: second")
        )
        async with asyncio.timeout(60):
            while b"x-request-id: second" not in client.received:
                await asyncio.sleep(0.001)
        assert client.received.index(b"x-request-id: first") < client.received.index(b"x-request-id: second")
        client.hang_up()


@pytest.mark.anyio
@on_both_paths
async def test_a_client_that_is_gone_meanwhile_is_forgotten(models: Path, *, fast: bool) -> None:
    async with serving(models, gzip_over_bytes=1024) as both:
        compression = both.service.fast_path.compression
        assert compression is not None
        gone = threading.Event()
        held = asyncio.get_running_loop().run_in_executor(compression._executor, lambda: gone.wait(60))
        client = both.client(fast=fast)
        client.send(post(MANY, "/predict", GZIP))
        await client.settle()
        client.hang_up()
        gone.set()
        await held
        await asyncio.get_running_loop().run_in_executor(compression._executor, lambda: None)
        await client.settle()
        assert client.received == b""
        assert both.service.fast_path.tracker._open == 0
        assert both.buffered_bytes == 0


def test_tiny_answers_are_never_compressed() -> None:
    with pytest.raises(StartError) as caught:
        Compression(100)
    assert str(caught.value) == (
        "--gzip-over-bytes (MLP_GZIP_OVER_BYTES) is 100, expected 0 or at least 1024; smaller answers get no faster"
    )
