"""The fast path responds like the FastAPI routes to the same bytes: whole, cut anywhere, damaged and repeated."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from service.http.codecs import npy
from service.http.transport import fast_path
from service.inference.batcher import Batcher, Costs
from service.inference.session import Outputs
from service.inference.versions import ModelVersions
from service.lifecycle import State
from tests.service.http.transport.both_paths import (
    LIMIT_BYTES,
    BothPaths,
    chunked,
    normal,
    on_both_paths,
    serving,
    statuses,
)
from tests.service.published import TABLE, publish
from tests.service.running import PATIENCE_S, post

ROW = [0.5, -1.0, 2.0, 0.25]
TRACED = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, shape=(2, 2))
    publish(folder, "table", features=TABLE)
    publish(folder, "position", targets=("x", "y"))
    return folder


@pytest.fixture(scope="module")
def paths(models: Path) -> Iterator[tuple[asyncio.Runner, BothPaths]]:
    with asyncio.Runner() as runner:
        context = serving(models)
        yield runner, runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def ask(paths: tuple[asyncio.Runner, BothPaths]) -> Ask:
    """The responses of both paths, the fast path's first."""
    runner, both = paths
    return lambda *parts: runner.run(both.responses(*parts))


GOOD = {"inputs": [ROW, ROW]}
PERSON = {"age": None, "height": 1.8, "member": True, "country": "Italy", "job": "pilot"}
REQUESTS = {
    "one row": post({"inputs": [ROW]}, "/predict", "x-request-id: mine"),
    "single row": post({"inputs": ROW}),
    "nested": post({"inputs": [[ROW[:2], ROW[2:]]]}),
    "by name": post({"inputs": [{f"f{index}": value for index, value in enumerate(ROW)}]}),
    "named model": post(GOOD, "/models/small/predict"),
    "named version": post(GOOD, "/models/small/versions/1/predict"),
    "table": post({"inputs": [PERSON]}, "/models/table/predict"),
    "table by position": post({"inputs": [list(PERSON.values())]}, "/models/table/predict"),
    "table, unknown category": post({"inputs": [PERSON | {"country": "Peru"}]}, "/models/table/predict"),
    "regression": post(GOOD, "/models/position/predict"),
    "regression as npy": post(GOOD, "/models/position/predict", "accept: application/x-npy"),
    "regression, option of classes": post(GOOD, "/models/position/predict?top_k=1"),
    "overflow": post({"inputs": [ROW, [3e38] * 4]}),
    "options": post(GOOD, "/predict?top_k=2&probabilities=false&timing=true"),
    "unknown option": post(GOOD, "/predict?topk=2"),
    "unknown model": post(GOOD, "/models/large/predict"),
    "unknown version": post(GOOD, "/models/small/versions/2/predict"),
    "percent-encoded": post(GOOD, "/models/%73mall/predict"),
    "encoded slash": post(GOOD, "/models/a%2Fb/predict"),
    "trailing slash": post(GOOD, "/predict/"),
    "fragment": post(GOOD, "/predict#here"),
    "absolute url": post(GOOD, "http://test/predict"),
    "gzip": post(gzip.compress(json.dumps(GOOD).encode(), mtime=0), "/predict", "content-encoding: gzip"),
    "broken gzip": post(b"nothing zipped", "/predict", "content-encoding: gzip"),
    "unknown encoding": post(GOOD, "/predict", "content-encoding: br"),
    "unknown type": post(GOOD, "/predict", "content-type: text/csv"),
    "form type": post(GOOD, "/predict", "content-type: application/x-www-form-urlencoded"),
    "raw": post(np.array([ROW], "<f4").tobytes(), "/predict", "content-type: application/octet-stream"),
    "raw, wrong length": post(b"123", "/predict", "content-type: application/octet-stream"),
    "npy": post(npy.write(np.array([ROW])), "/predict", "content-type: application/x-npy", "accept: application/x-npy"),
    "ragged": post({"inputs": [ROW[:3], [*ROW, 1.0]]}),
    "null": post({"inputs": [[1, 2, None, 4]]}),
    "zero rows": post({"inputs": []}),
    "too many rows": post({"inputs": [[1, 2, 3, 4]] * 51}),
    "not JSON": post(b"{"),
    "empty body": post(b""),
    "body at the limit": post(b" " * (LIMIT_BYTES - 2) + b"{}"),
    "body over the limit": post(b" " * (LIMIT_BYTES + 1)),
    "late deadline": post(GOOD, "/predict", "x-request-timeout-s: 0.000000001"),
    "bad deadline": post(GOOD, "/predict", "x-request-timeout-s: soon"),
    "bad id": post(GOOD, "/predict", "x-request-id: caf\u00e9"),
    "repeated header": post(GOOD, "/predict", "x-request-id: first", "x-request-id: second"),
    "close": post(GOOD, "/predict", "connection: close"),
    "http 1.0": post(GOOD, "/predict", version="1.0"),
    "chunked": chunked(json.dumps(GOOD).encode()),
    "chunked over the limit": chunked(b" " * (LIMIT_BYTES + 100)),
    "expect": post(GOOD, "/predict", "expect: 100-continue"),
    "expect over the limit": post(b" " * (LIMIT_BYTES + 1), "/predict", "expect: 100-continue"),
    "get": b"GET /predict HTTP/1.1\r\nhost: test\r\n\r\n",
    "upgrade": post(GOOD, "/predict", "connection: upgrade", "upgrade: websocket"),
    "length and chunks": b"POST /predict HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /predict HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "negative length": b"POST /predict HTTP/1.1\r\ncontent-length: -2\r\n\r\n{}",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two in a row": post({"inputs": [ROW]}) + post(GOOD),
    "prediction, page, prediction": post(GOOD) + b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n" + post({"inputs": ROW}),
    "page, prediction": b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n" + post(GOOD),
    "of a trace": post(GOOD, "/predict", TRACED),
    "of another trace": post(GOOD, "/predict", TRACED.replace("b7", "c8"), "X-Request-Id: abc"),
    "of two traces": post(GOOD, "/predict", TRACED, TRACED),
    "of a trace with a state": post(GOOD, "/predict", TRACED, "tracestate: a=1,b=2", "tracestate: c=3"),
    "of a trace, folded": post(GOOD, "/predict", TRACED + "\r\n more"),
    "of a trace, with an id that is none": post(GOOD, "/predict", TRACED, "x-request-id: a b"),
    "rejected, then good": post(b" " * (LIMIT_BYTES + 1)) + post(GOOD),
    "bad, then closing, then ignored": post(b"{") + post(GOOD, "/predict", "connection: close") + post(GOOD),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_both_paths_answer_alike(ask: Ask, name: str) -> None:
    fast, fastapi = ask(REQUESTS[name])
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("name", [name for name, request in REQUESTS.items() if len(request) < 700])
def test_both_paths_answer_alike_wherever_the_bytes_are_cut(ask: Ask, name: str) -> None:
    request = REQUESTS[name]
    whole, _ = ask(request)
    for cut in range(1, len(request)):
        fast, fastapi = ask(request[:cut], request[cut:])
        assert fast == fastapi, cut
        assert fast == whole, cut


@given(st.data())
@settings(max_examples=400)
def test_both_paths_answer_damaged_requests_alike(ask: Ask, data: st.DataObject) -> None:
    request = bytearray(REQUESTS[data.draw(st.sampled_from(sorted(REQUESTS)))][:1500])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(request) - 1))
        request[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    fast, fastapi = ask(bytes(request))
    assert fast == fastapi


def test_the_end_of_a_head_in_two_pieces_is_not_cached_as_a_head(ask: Ask) -> None:
    request = post(GOOD)
    fast, _ = ask(request[:10], request[10:])
    assert fast.startswith(b"HTTP/1.1 200 ")
    fast, fastapi = ask(request[10:])
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_repeated_request_is_answered_alike(ask: Ask, name: str) -> None:
    fast, fastapi = ask(*[REQUESTS[name]] * 3)
    assert fast == fastapi


@given(st.lists(st.tuples(st.sampled_from(sorted(REQUESTS.keys() - {"garbage"})), st.integers(0, 700)), max_size=8))
@settings(max_examples=200)
def test_successive_requests_are_answered_alike(ask: Ask, drawn: list[tuple[str, int]]) -> None:
    """Each in one piece or in two."""
    parts = [piece for name, cut in drawn for piece in (REQUESTS[name][:cut], REQUESTS[name][cut:]) if piece]
    fast, fastapi = ask(*parts)
    assert fast == fastapi


@pytest.mark.anyio
async def test_a_request_with_a_cached_head_is_not_parsed(models: Path) -> None:
    body, other = (json.dumps({"inputs": [row]}).encode() for row in (ROW, ROW[::-1]))
    async with serving(models) as both:
        first, second, uncached = both.client(fast=True), both.client(fast=True), both.client(fast=False)
        await first.ask(post(body))
        second.protocol.parser = None  # type: ignore[assignment] # to use it would raise
        await second.ask(post(other))
        await uncached.ask(post(other))
    assert normal(second.received) == normal(uncached.received)
    assert second.received.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.anyio
async def test_a_cached_head_with_headers_of_its_own_is_not_parsed(models: Path) -> None:
    own = ["traceparent: 00-0af7651916cd43dd8448eb211c80319c-c8ad6b7169203331-00", "X-Request-Id:again"]
    async with serving(models) as both:
        first, second, uncached = both.client(fast=True), both.client(fast=True), both.client(fast=False)
        await first.ask(post(GOOD, "/predict", TRACED, "x-request-id: first"))
        second.protocol.parser = None  # type: ignore[assignment] # to use it would raise
        for client in (second, uncached):
            await client.ask(post(GOOD, "/predict", *own))
        await second.ask(post(GOOD))
    assert second.received.startswith(uncached.received)
    assert b"x-request-id: again\r\n" in second.received
    assert statuses(second.received) == [200, 200]


@pytest.mark.anyio
async def test_cached_heads_are_limited_in_number_and_size(models: Path) -> None:
    async with serving(models) as both:
        client = both.client(fast=True)
        for number in range(600):
            client.send(post(GOOD, "/predict", f"x-number: {number}"))
            client.send(post(GOOD, "/predict", f"x-long: {'x' * 1024}"))
            client.send(post(GOOD, "/predict", f"x-request-id: {number}"))
            await client.settle()
    assert 0 < len(both.heads) <= 256
    assert max(map(len, both.heads)) <= 1024


@pytest.mark.anyio
async def test_a_body_that_does_not_arrive_is_rejected_alike(models: Path) -> None:
    async with serving(models, receive_timeout_s=0.1) as both:
        fast, fastapi = clients = [both.client(fast=fast) for fast in (True, False)]
        for client in clients:
            client.send(post(GOOD)[:-5])
            while not client.transport.closed:
                await asyncio.sleep(0.01)
            client.hang_up()
    assert normal(fast.received) == normal(fastapi.received)
    assert fast.received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.anyio
async def test_a_draining_server_answers_each_connection_once_more_and_closes_it(models: Path) -> None:
    async with serving(models) as both:
        both.service.lifecycle.advance(State.DRAINING)
        fast, fastapi = await both.responses(post(GOOD))
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 200 OK")
    assert fast.count(b"connection: close") == 1
    assert fast.endswith(b"<closed>")


@pytest.mark.anyio
async def test_a_body_in_many_small_chunks_takes_little_more_memory_than_the_body(models: Path) -> None:
    body = b'{"inputs":'.ljust(200_000)
    chunks = b"".join(b"2\r\n%b\r\n" % body[at : at + 2] for at in range(0, len(body), 2))
    async with serving(models, max_body_bytes=2**20) as both:
        client = both.client(fast=True)
        client.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n")
        tracemalloc.start()
        for at in range(0, len(chunks), 65_536):
            client.send(chunks[at : at + 65_536])
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert both.buffered_bytes >= len(body)
        client.hang_up()
    assert peak_bytes < 4 * len(body)


@on_both_paths
@pytest.mark.anyio
async def test_incomplete_bodies_share_one_budget(models: Path, *, fast: bool) -> None:
    request = post(json.dumps({"inputs": [ROW]}).encode().ljust(LIMIT_BYTES))
    head_bytes, received_bytes = len(request) - LIMIT_BYTES, LIMIT_BYTES - 100
    async with serving(models, max_buffered_bytes=2 * LIMIT_BYTES) as both:
        clients = [both.client(fast=fast) for _ in range(4)]
        for client in clients[:3]:
            await client.ask(request[:-100])
        assert both.buffered_bytes == 2 * received_bytes + 3 * head_bytes
        assert re.search(rb"request buffer full: 81\d\d \+ 3996 bytes exceeds 8192", clients[2].received)

        clients[0].hang_up()
        await clients[0].settle()
        assert both.buffered_bytes == received_bytes + 2 * head_bytes

        rejected = clients[2].received
        for client in clients[1:3]:
            await client.ask(request[-100:])
        assert clients[2].received == rejected  # the rest of a rejected body is ignored
        assert both.buffered_bytes == 0

        await clients[3].ask(request)
        assert [client.received[9:12] for client in clients] == [b"", b"200", b"429", b"200"]
        await clients[3].ask(request[:-1])
        assert both.buffered_bytes == LIMIT_BYTES - 1 + head_bytes
        for client in clients[1:]:
            client.hang_up()
            await client.settle()
        assert both.buffered_bytes == 0


@pytest.mark.anyio
async def test_unread_responses_stop_the_reading(models: Path) -> None:
    async with serving(models) as both:
        client = both.client(fast=True)
        client.protocol.pause_writing()
        await client.ask(post(GOOD) * 3)
        assert client.received.count(b"HTTP/1.1 200") == 1
        assert not client.transport.reading
        client.protocol.resume_writing()
        await client.settle()
        assert client.received.count(b"HTTP/1.1 200") == 3
        client.hang_up()


@pytest.mark.anyio
async def test_a_client_that_hangs_up_before_it_reads_is_forgotten(models: Path) -> None:
    async with serving(models) as both:
        client = both.client(fast=True)
        client.protocol.pause_writing()
        await client.ask(post(GOOD) * 3)
        client.hang_up()
        client.protocol.resume_writing()
        await client.settle()
        assert client.received.count(b"HTTP/1.1 200") == 1


@pytest.mark.anyio
async def test_a_client_that_hangs_up_runs_no_rows_and_is_not_in_the_metrics(models: Path) -> None:
    async with serving(models) as both:
        client = both.client(fast=True)
        client.send(post(GOOD) + post(GOOD))
        client.hang_up()
        await client.settle()
        assert client.received == b""
        client = both.client(fast=True)
        client.send(post(GOOD)[:-1])
        client.hang_up()
        await client.settle()
        exposition = await scrape(both)
        ends_at_s = time.monotonic() + PATIENCE_S
        while "mlp_requests_in_flight 0.0" not in exposition:  # it has the scrape itself if that takes long
            assert time.monotonic() < ends_at_s, exposition
            exposition = await scrape(both)
    assert not re.search(r'mlp_requests_total\{.*route="/predict"', exposition)
    assert "mlp_batch_rows_count" in exposition
    assert 'mlp_batch_rows_count{model="small"} 0.0' in exposition


async def scrape(both: BothPaths) -> str:
    page = both.client(fast=False)
    page.send(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
    while not page.transport.closed:
        await page.settle()
    return page.received.decode()


@on_both_paths
@pytest.mark.anyio
async def test_queued_rows_do_not_run_once_their_client_hangs_up(models: Path, *, fast: bool) -> None:
    ran: list[int] = []
    may_run = threading.Event()
    async with serving(models) as both:
        repository = both.service.repository

        def run_later(rows: np.ndarray[Any, Any]) -> Outputs:
            ran.append(len(rows))
            assert may_run.wait(60)
            return Outputs(np.full((len(rows), 3), 1 / 3, np.float32), np.zeros(len(rows), np.int64))

        in_thread = Batcher(
            run_later,
            Costs(run_s=1e-6, row_s=1e-6, inline_rows=0, batch_rows=256),
            features=len(ROW),
            queue_rows=100,
            clock=time.perf_counter,
            ran=lambda *_: None,
        )
        await repository.swap("small", ModelVersions.of(replace(repository.find(None, None), batcher=in_thread)))
        clients = [both.client(fast=fast) for _ in range(3)]
        for rows, client in enumerate(clients, 1):
            await client.ask(post({"inputs": [ROW] * rows}))
        clients[1].hang_up()
        await clients[1].settle()
        may_run.set()
        while not clients[2].received:
            await clients[2].settle()
        for client in clients:
            client.hang_up()
    assert [client.received[:12] for client in clients] == [b"HTTP/1.1 200", b"", b"HTTP/1.1 200"]
    assert ran == [1, 3]


@pytest.mark.anyio
async def test_both_paths_record_the_same(models: Path) -> None:
    records: list[list[tuple[Any, ...]]] = []
    async with serving(models) as both:
        tracker = both.service.fast_path.tracker
        tracker._sinks = (
            lambda finished: records[-1].extend(
                (r.method, r.path, r.route, r.status, r.problem, r.model, r.version, r.rows) for r in finished
            ),
        )
        for fast in (True, False):
            records.append([])
            for request in REQUESTS.values():
                client = both.client(fast=fast)
                await client.ask(request)
                client.hang_up()
            tracker.flush()
    by_fast_path, by_fastapi = records
    assert by_fast_path == by_fastapi
    assert len(by_fast_path) > len(REQUESTS) - 6


def test_uvicorn_still_has_the_internals_that_the_fast_path_uses() -> None:
    for owner, names in fast_path.INTERNALS.items():
        for name in names:
            assert callable(getattr(owner, name, None)), f"uvicorn's {owner.__name__} has no {name} any more"
    source = Path(uvicorn.protocols.http.httptools_impl.__file__).read_text()
    for needed in ("self.pipeline.appendleft((self.cycle, app))", "cycle, app = self.pipeline.pop()"):
        assert needed in source, f"uvicorn does not keep pipelined requests as {needed} any more"
