"""Two doors, one answer: the same bytes through the express door and through ASGI, cut anywhere, answered alike."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
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

from service import app, metrics
from service.http.transport import fast_path
from service.inference.session import Outputs
from service.lifecycle import State
from service.settings import Settings
from tests.service.http.doors import LIMIT_BYTES, Doors, chunked, normal, post, running
from tests.service.published import TABLE, publish

ROW = [0.5, -1.0, 2.0, 0.25]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, shape=(2, 2))
    publish(folder, "table", features=TABLE)
    publish(folder, "position", targets=("x", "y"))
    return folder


@pytest.fixture(scope="module")
def doors(models: Path) -> Iterator[tuple[asyncio.Runner, Doors]]:
    with asyncio.Runner() as runner:
        context = running(models)
        yield runner, runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture
def ask(doors: tuple[asyncio.Runner, Doors]) -> Ask:
    runner, both = doors
    return lambda *parts: runner.run(both.answers(*parts))


def npy(array: np.ndarray[Any, Any]) -> bytes:
    from service.http.codecs.npy import write  # noqa: PLC0415

    return write(array)


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
    "table by place": post({"inputs": [list(PERSON.values())]}, "/models/table/predict"),
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
    "gzip": post(gzip.compress(json.dumps(GOOD).encode()), "/predict", "content-encoding: gzip"),
    "broken gzip": post(b"nothing zipped", "/predict", "content-encoding: gzip"),
    "unknown encoding": post(GOOD, "/predict", "content-encoding: br"),
    "unknown type": post(GOOD, "/predict", "content-type: text/csv"),
    "form type": post(GOOD, "/predict", "content-type: application/x-www-form-urlencoded"),
    "raw": post(np.array([ROW], "<f4").tobytes(), "/predict", "content-type: application/octet-stream"),
    "raw, wrong length": post(b"123", "/predict", "content-type: application/octet-stream"),
    "npy": post(npy(np.array([ROW])), "/predict", "content-type: application/x-npy", "accept: application/x-npy"),
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
    "refused, then good": post(b" " * (LIMIT_BYTES + 1)) + post(GOOD),
    "bad, then closing, then ignored": post(b"{") + post(GOOD, "/predict", "connection: close") + post(GOOD),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_both_doors_answer_alike(ask: Ask, name: str) -> None:
    by_express, by_asgi = ask(REQUESTS[name])
    assert by_express == by_asgi
    assert by_express.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("name", [name for name, request in REQUESTS.items() if len(request) < 700])
def test_both_doors_answer_alike_wherever_the_bytes_are_cut(ask: Ask, name: str) -> None:
    request = REQUESTS[name]
    whole, _ = ask(request)
    for cut in range(1, len(request)):
        by_express, by_asgi = ask(request[:cut], request[cut:])
        assert by_express == by_asgi, cut
        assert by_express == whole, cut


@given(st.data())
@settings(max_examples=400)
def test_both_doors_answer_damaged_requests_alike(ask: Ask, data: st.DataObject) -> None:
    request = bytearray(REQUESTS[data.draw(st.sampled_from(sorted(REQUESTS)))][:1500])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(request) - 1))
        request[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    by_express, by_asgi = ask(bytes(request))
    assert by_express == by_asgi


def test_the_end_of_a_head_that_came_in_pieces_is_no_head(ask: Ask) -> None:
    request = post(GOOD)
    by_express, _ = ask(request[:10], request[10:])
    assert by_express.startswith(b"HTTP/1.1 200 ")
    by_express, by_asgi = ask(request[10:])
    assert by_express == by_asgi
    assert by_express.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_sent_again_is_answered_alike(ask: Ask, name: str) -> None:
    by_express, by_asgi = ask(*[REQUESTS[name]] * 3)
    assert by_express == by_asgi


@given(st.lists(st.tuples(st.sampled_from(sorted(REQUESTS.keys() - {"garbage"})), st.integers(0, 700)), max_size=8))
@settings(max_examples=200)
def test_requests_one_after_the_other_are_answered_alike(ask: Ask, drawn: list[tuple[str, int]]) -> None:
    """Whatever came before on the connection, whole or in two pieces."""
    parts = [piece for name, cut in drawn for piece in (REQUESTS[name][:cut], REQUESTS[name][cut:]) if piece]
    by_express, by_asgi = ask(*parts)
    assert by_express == by_asgi


def test_a_request_that_begins_as_one_before_is_not_parsed_again(models: Path) -> None:
    body, other = (json.dumps({"inputs": [row]}).encode() for row in (ROW, ROW[::-1]))

    async def story() -> tuple[bytes, bytes]:
        async with running(models) as doors:
            first, second = (doors.client(through_express=True) for _ in range(2))
            first.send(post(body))
            await first.settle()
            second.protocol.parser = None  # of another connection; to use it would raise
            second.send(post(other))
            await second.settle()
            unseen = doors.client(through_express=False)
            unseen.send(post(other))
            await unseen.settle()
            return normal(bytes(second.wire.sent)), normal(bytes(unseen.wire.sent))

    by_memory, by_asgi = asyncio.run(story())
    assert by_memory == by_asgi
    assert by_memory.startswith(b"HTTP/1.1 200 OK")


def test_what_is_remembered_of_clients_is_bounded(models: Path) -> None:
    async def story() -> tuple[int, int]:
        async with running(models) as doors:
            client = doors.client(through_express=True)
            for number in range(600):
                client.send(post(GOOD, "/predict", f"x-number: {number}"))
                client.send(post(GOOD, "/predict", f"x-long: {'x' * 1024}"))
                client.send(post(GOOD, "/predict", f"x-request-id: {number}"))
                await client.settle()
            heads = doors.express.heads
            return len(heads), max(map(len, heads))

    count, longest_bytes = asyncio.run(story())
    assert 0 < count <= 256
    assert longest_bytes <= 1024


def test_a_body_that_does_not_come_is_refused_alike(models: Path) -> None:
    async def story() -> list[bytes]:
        async with running(models, receive_timeout_s=0.1) as doors:
            said = []
            for through_express in (True, False):
                client = doors.client(through_express=through_express)
                client.send(post(GOOD)[:-5])
                while not client.wire.closed:
                    await asyncio.sleep(0.01)
                said.append(normal(bytes(client.wire.sent)))
                client.hang_up()
            return said

    by_express, by_asgi = asyncio.run(story())
    assert by_express == by_asgi
    assert by_express.startswith(b"HTTP/1.1 408 ")


def test_while_the_server_drains_each_connection_is_answered_once_more_and_closed(models: Path) -> None:
    async def story() -> tuple[bytes, bytes]:
        async with running(models) as doors:
            doors.service.lifecycle.advance(State.DRAINING)
            return await doors.answers(post(GOOD))

    by_express, by_asgi = asyncio.run(story())
    assert by_express == by_asgi
    assert by_express.startswith(b"HTTP/1.1 200 OK")
    assert by_express.count(b"connection: close") == 1
    assert by_express.endswith(b"<closed>")


def test_a_body_in_many_small_chunks_takes_little_more_memory_than_the_body(models: Path) -> None:
    body = b'{"inputs":' + b" " * 200_000
    chunks = b"".join(b"2\r\n%b\r\n" % body[at : at + 2] for at in range(0, len(body), 2))

    async def story() -> int:
        service = app.build(Settings(models=models), None, metrics.alone())
        async with service.app.router.lifespan_context(service.app):
            client = Doors(service).client(through_express=True)
            client.send(b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
            tracemalloc.start()
            for at in range(0, len(chunks), 65_536):
                client.send(chunks[at : at + 65_536])
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            client.hang_up()
            return peak_bytes

    assert asyncio.run(story()) < 4 * len(body)


@pytest.mark.parametrize("through_express", [True, False])
def test_bodies_that_wait_to_be_whole_are_bounded_all_together(models: Path, *, through_express: bool) -> None:
    async def story() -> list[bytes]:
        async with running(models, max_held_bytes=2 * LIMIT_BYTES) as doors:
            bodies = doors.service.fast_path.bodies
            clients = [doors.client(through_express=through_express) for _ in range(4)]
            body = json.dumps({"inputs": [ROW]}).encode().ljust(LIMIT_BYTES)
            request = post(body)
            for client in clients[:3]:
                client.send(request[:-100])
                await client.settle()
            held = [bodies.held_bytes]
            refused = bytes(clients[2].wire.sent)
            clients[0].hang_up()
            await clients[0].settle()
            held.append(bodies.held_bytes)
            for client in clients[1:3]:  # the rest of a refused body is thrown away
                client.send(request[-100:])
                await client.settle()
            held.append(bodies.held_bytes)
            clients[3].send(request)
            await clients[3].settle()
            answered = [bytes(client.wire.sent) for client in clients]
            clients[3].send(request[:-1])
            await clients[3].settle()
            held.append(bodies.held_bytes)
            for client in clients[1:]:
                client.hang_up()
                await client.settle()
            held.append(bodies.held_bytes)
            whole, head = LIMIT_BYTES - 100, len(request) - LIMIT_BYTES
            assert held == [2 * whole + 3 * head, whole + 2 * head, 0, LIMIT_BYTES - 1 + head, 0]
            assert answered[2] == refused
            assert re.search(rb"81\d\d bytes of bodies wait to be whole, and 3996 more would exceed 8192", refused)
            return answered

    answered = asyncio.run(story())
    assert [answer[9:12] for answer in answered] == [b"", b"200", b"429", b"200"]


def test_answers_that_nobody_reads_do_not_pile_up(models: Path) -> None:
    async def story() -> tuple[int, int]:
        async with running(models) as doors:
            client = doors.client(through_express=True)
            client.protocol.pause_writing()
            client.send(post(GOOD) * 3)
            await client.settle()
            unread = client.wire.sent.count(b"HTTP/1.1 200")
            assert not client.wire.reading
            client.protocol.resume_writing()
            await client.settle()
            client.hang_up()
            return unread, client.wire.sent.count(b"HTTP/1.1 200")

    assert asyncio.run(story()) == (1, 3)


def test_a_client_that_hangs_up_is_not_run_for_and_not_counted(models: Path) -> None:
    async def story() -> str:
        async with running(models) as doors:
            client = doors.client(through_express=True)
            client.send(post(GOOD) + post(GOOD))
            client.hang_up()
            await client.settle()
            assert client.wire.sent == b""
            client = doors.client(through_express=True)
            client.send(post(GOOD)[:-1])
            client.hang_up()
            await client.settle()
            page = doors.client(through_express=False)
            page.send(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
            while not page.wire.closed:
                await page.settle()
            return page.wire.sent.decode()

    exposition = asyncio.run(story())
    assert 'mlp_requests_total{route="/predict"' not in exposition
    assert "mlp_batch_rows_count" in exposition
    assert 'mlp_batch_rows_count{model="small"} 0.0' in exposition
    assert "mlp_requests_in_flight 0.0" in exposition  # as of the last turn: the scrape's own is counted in this one


@pytest.mark.parametrize("through_express", [True, False])
def test_rows_that_wait_do_not_run_once_their_client_hangs_up(models: Path, *, through_express: bool) -> None:
    ran: list[int] = []
    ends = threading.Event()

    async def story() -> None:
        async with running(models) as doors:
            batcher = doors.service.repository.find(None, None).batcher
            run, costs = batcher._run, batcher.costs

            def held_up(rows: np.ndarray[Any, Any]) -> Outputs:
                ran.append(len(rows))
                assert ends.wait(60)
                return run(rows)

            batcher._run, batcher.costs = held_up, replace(costs, inline_rows=0)
            clients = [doors.client(through_express=through_express) for _ in range(3)]
            for rows, client in enumerate(clients, 1):
                client.send(post({"inputs": [ROW] * rows}))
                await client.settle()
            clients[1].hang_up()
            await clients[1].settle()
            ends.set()
            while not clients[2].wire.sent:
                await clients[2].settle()
            for client in clients:
                client.hang_up()
            assert [client.wire.sent[:12] for client in clients] == [b"HTTP/1.1 200", b"", b"HTTP/1.1 200"]

    asyncio.run(story())
    assert ran == [1, 3]


def test_both_doors_tell_the_journal_the_same(models: Path) -> None:
    async def story() -> list[list[tuple[Any, ...]]]:
        async with running(models) as doors:
            told: list[list[tuple[Any, ...]]] = []
            doors.service.fast_path.tracker._sinks = (
                lambda records: told[-1].extend(
                    (r.method, r.path, r.route, r.status, r.problem, r.model, r.version, r.rows) for r in records
                ),
            )
            for through_express in (True, False):
                told.append([])
                for request in REQUESTS.values():
                    client = doors.client(through_express=through_express)
                    client.send(request)
                    await client.settle()
                    client.hang_up()
                doors.service.fast_path.tracker.flush()
            return told

    by_express, by_asgi = asyncio.run(story())
    assert by_express == by_asgi
    assert len(by_express) > len(REQUESTS) - 6


def test_uvicorn_still_has_the_parts_that_the_door_is_built_on() -> None:
    for owner, names in fast_path.INTERNALS.items():
        for name in names:
            assert callable(getattr(owner, name, None)), f"uvicorn's {owner.__name__} has no {name} any more"
    source = Path(uvicorn.protocols.http.httptools_impl.__file__).read_text()
    for needed in ("self.pipeline.appendleft((self.cycle, app))", "cycle, app = self.pipeline.pop()"):
        assert needed in source, f"uvicorn does not keep pipelined requests as {needed} any more"
