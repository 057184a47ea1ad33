"""Rows of large bodies count against the queue while they arrive: alone, and on both paths of a full server."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import app, metrics
from service.app import Service
from service.errors import Overloaded
from service.http import admission
from service.http.admission import LARGE_BYTES, Arrival
from service.http.messages import Request
from service.http.protocols.base import BodyFormat
from service.inference.batcher import Batcher
from service.requests import RequestRecord
from service.settings import Settings
from tests.service.running import Answer, Connection, Running, post
from tests.service.trapped import GOOD, slow

QUEUE_ROWS = 100_000
RAW = "content-type: application/octet-stream"
RECORD = RequestRecord("POST", "/predict", "id", math.inf)
SMALL = post(json.dumps({"inputs": [GOOD]}).encode())


@pytest.fixture(scope="module")
def service(shared_models: Path) -> Iterator[Service]:
    async def build() -> Service:
        options = Settings(models=shared_models, max_request_rows=QUEUE_ROWS, max_queue_rows=QUEUE_ROWS)
        return app.build(options, None, metrics.alone())

    built = asyncio.run(build())
    yield built
    built.repository.close()


def request(media: bytes, **headers: bytes) -> Request:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request(None, None, None, {b"content-type": media, **named}, b"")


def arrive(service: Service, sent: Request, size_bytes: int) -> Arrival | None:
    native = service.fast_path.table.routes[0].protocol
    return service.fast_path.predict.arrive(native, sent, RECORD, size_bytes)


def rows_of(service: Service, sent: Request, size_bytes: int) -> int:
    """The rows that a body counts for once it has arrived."""
    arrival = arrive(service, sent, size_bytes)
    if arrival is None:
        return 0
    batcher = service.repository.find(None, None).batcher
    arrival.reached(size_bytes)
    rows = batcher.arriving_rows
    arrival.close()
    assert batcher.arriving_rows == 0
    return rows


def test_the_length_of_a_raw_body_gives_its_rows(service: Service) -> None:
    assert rows_of(service, request(b"application/octet-stream"), 16 * 5000) == 5000
    assert rows_of(service, request(b"Application/Octet-Stream; a=b"), 16 * 5000 + 15) == 5000
    assert rows_of(service, request(b"application/octet-stream", content_encoding=b"gzip"), 16 * 5000) == 0


def test_an_array_counts_for_the_fewest_possible_rows(service: Service) -> None:
    assert rows_of(service, request(b"application/x-npy"), 128 + 32 * 5000) == 5004


def test_few_rows_do_not_count(service: Service) -> None:
    assert rows_of(service, request(b"application/octet-stream"), 16) == 0


@pytest.mark.parametrize(
    "sent",
    [Request("other", None, None, {}, b""), Request(None, None, "no=1", {}, b""), request(b"text/csv")],
)
def test_a_body_that_will_be_rejected_anyway_does_not_count(service: Service, sent: Request) -> None:
    assert arrive(service, sent, 10**6) is None


def test_more_rows_than_are_ever_accepted_do_not_count(service: Service) -> None:
    assert arrive(service, request(b"application/octet-stream"), 16 * (QUEUE_ROWS + 1)) is None


def test_json_counts_for_rows_of_the_size_of_earlier_ones(service: Service) -> None:
    model = service.repository.find(None, None)
    sent, json_body = request(b"application/json"), BodyFormat("application/json", None)
    assert arrive(service, sent, 10**6) is None
    for size_bytes, rows, expected in ((100_000, 5000, 5000), (100_000, 2000, 2000), (100_000, 5000, 2105)):
        admission.learn(model, json_body, size_bytes, rows)
        assert rows_of(service, sent, 100_000) == expected
    assert list(model.row_bytes) == ["application/json"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50_000)), max_size=60))
def test_arriving_rows_never_exceed_the_queue_and_end_at_zero(pieces: list[tuple[int, int]]) -> None:
    class Lane(Batcher):
        def __init__(self) -> None:
            self.arriving_rows = 0

        def is_sliced(self, rows: int) -> bool:
            return rows > 10

        def check_arriving(
            self,
            rows: int,
            deadline_s: float,  # noqa: ARG002 - as in the base class
            waited_s: float = 0.0,  # noqa: ARG002 - likewise
            own_rows: int = 0,  # noqa: ARG002 - likewise
        ) -> None:
            if self.arriving_rows + rows > 1000:
                raise Overloaded("full", 1.0)

    lane = Lane()
    arriving = {name: Arrival(lane, 16.5, 16_500, math.inf) for name in range(10)}
    received = dict.fromkeys(arriving, 0)
    for name, size_bytes in pieces:
        if name in arriving:
            received[name] += size_bytes
            try:
                arriving[name].reached(received[name])
            except Overloaded:
                arriving.pop(name).close()
        assert 0 <= lane.arriving_rows <= 1000
    for arrival in arriving.values():
        arrival.close()
    assert lane.arriving_rows == 0


@pytest.fixture(params=["true", "false"], ids=["fast path", "FastAPI"])
def server(request: pytest.FixtureRequest, trapped_models: Path) -> Iterator[Running]:
    options = {"fast-path": request.param, "max-request-rows": QUEUE_ROWS, "max-queue-rows": QUEUE_ROWS}
    with Running(trapped_models, *(f"--{name}={value}" for name, value in options.items())) as running:
        yield running


def raw(rows: int, first: list[float] = GOOD) -> bytes:
    values = np.tile(np.array(GOOD, "<f4"), (rows, 1))
    values[0] = first
    return post(values.tobytes(), "/predict", RAW)


def head_of(request_: bytes) -> bytes:
    return request_[: request_.index(b"\r\n\r\n") + 4]


def filled(server: Running) -> Connection:
    """A request of 4,000 rows that runs for seconds. It is in the queue, as a later request was answered."""
    connection = server.connect()
    connection.send(raw(4000, slow(1.5e6)))
    assert small(server).status == 200
    return connection


def small(server: Running) -> Answer:
    with server.connect() as connection:
        connection.send(SMALL)
        return connection.answer()


def test_a_request_without_room_is_rejected_at_its_head_and_small_ones_are_answered(server: Running) -> None:
    """1. A large request runs. 2. One that would fill the queue is rejected before its body is sent.

    3. Small requests are answered. 4. The body is sent, and not read.
    """
    too_many = raw(QUEUE_ROWS)
    with filled(server) as busy, server.connect() as connection:
        connection.send(head_of(too_many))
        rejected = connection.answer()
        assert (rejected.status, int(rejected.headers["retry-after"]) >= 1) == (429, True)
        assert rejected.headers["connection"] == "close"
        assert json.loads(rejected.body)["detail"] == (
            "4000 rows wait already, and 100000 more would exceed 100000; send fewer requests at once, or add replicas"
        )
        assert [small(server).status for _ in range(5)] == [200] * 5
        connection.send(too_many[len(head_of(too_many)) :])
        assert connection.is_closed()
        answer = busy.answer()
        assert (answer.status, len(json.loads(answer.body)["predictions"])) == (200, 4000)
    after = server.metrics()
    assert after["mlp_rejections_total small overloaded"] == 1


def test_a_request_without_enough_time_is_rejected_at_its_head(server: Running) -> None:
    with server.connect() as connection:
        connection.send(
            head_of(raw(QUEUE_ROWS)).replace(b"host: test\r\n", b"host: test\r\nx-request-timeout-s: 0.000001\r\n")
        )
        assert connection.answer().status == 504


def test_a_request_without_room_gets_429_instead_of_100_continue(server: Running) -> None:
    with filled(server), server.connect() as connection:
        connection.send(head_of(raw(QUEUE_ROWS)).replace(b"host: test\r\n", b"host: test\r\nexpect: 100-continue\r\n"))
        assert connection.answer().status == 429


def test_incomplete_bodies_free_their_room(server: Running) -> None:
    """1. Clients send half of a large body and hang up. 2. A body as large as the queue is answered."""
    whole = raw(QUEUE_ROWS)
    for _ in range(5):
        with server.connect() as connection:
            connection.send(whole[: len(whole) // 2])
            assert small(server).status == 200
    while server.metrics()["mlp_requests_in_flight"] > 1:
        time.sleep(0.01)
    with server.connect() as connection:
        connection.send(whole)
        answer = connection.answer()
        assert (answer.status, len(json.loads(answer.body)["predictions"])) == (200, QUEUE_ROWS)


def test_heads_of_large_bodies_alone_use_no_room(server: Running) -> None:
    connections = [server.connect() for _ in range(20)]
    for connection in connections:
        connection.send(head_of(raw(QUEUE_ROWS)))
    with server.connect() as connection:
        connection.send(raw(LARGE_BYTES // 16 + 1))
        assert connection.answer().status == 200


def test_large_bodies_that_exceed_the_queue_together_are_answered_or_rejected(server: Running) -> None:
    """At least one is answered."""
    request_ = raw(QUEUE_ROWS // 2 + 1)
    connections = [server.connect() for _ in range(6)]
    for part in np.array_split(np.frombuffer(request_, np.uint8), 4):
        for connection in connections:
            connection.send(part.tobytes())
    statuses = [connection.answer().status for connection in connections]
    assert set(statuses) <= {200, 429}
    assert 200 in statuses


def test_a_chunked_body_is_rejected_once_its_rows_have_no_room(server: Running) -> None:
    """1. A large request runs. 2. One in chunks would exceed the queue, and is rejected before its end."""
    whole = raw(QUEUE_ROWS)
    body = whole[len(head_of(whole)) :]
    with filled(server), server.connect() as connection:
        connection.send(
            b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n" + RAW.encode() + b"\r\n\r\n"
        )
        connection.send(b"%x\r\n" % len(body) + body)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (429, "close")
        connection.send(b"\r\n0\r\n\r\n" + SMALL)
        assert connection.is_closed()


@pytest.fixture(params=["true", "false"], ids=["fast path", "FastAPI"])
def impatient(request: pytest.FixtureRequest, trapped_models: Path) -> Iterator[Running]:
    """A server on which a request waits for at most a millisecond, which many rows take longer to run."""
    bounds = {"max-request-rows": QUEUE_ROWS, "max-queue-rows": 10 * QUEUE_ROWS, "max-queue-s": 0.001}
    options = {"fast-path": request.param} | bounds
    with Running(trapped_models, *(f"--{name}={value}" for name, value in options.items())) as running:
        yield running


def as_json(rows: int, first: list[float] = GOOD) -> bytes:
    return post(json.dumps({"inputs": [first, *[GOOD] * (rows - 1)]}).encode())


def test_what_would_wait_too_long_is_rejected_at_its_head_and_a_request_alone_is_not(impatient: Running) -> None:
    """1. A request alone is answered, however long it takes; so is JSON, whose rows take so many bytes from then on.

    2. Behind a long one, raw rows, JSON and what waits for 100 Continue are rejected unread. 3. Small ones are not.
    """
    with impatient.connect() as connection:
        for sent in (raw(QUEUE_ROWS), as_json(20_000)):
            connection.send(sent)
            assert connection.answer().status == 200
    with impatient.connect() as busy:
        busy.send(raw(QUEUE_ROWS, slow(3e6)))
        assert small(impatient).status == 200
        waits = head_of(raw(20_000)).replace(b"host: test\r\n", b"host: test\r\nexpect: 100-continue\r\n")
        for head in (head_of(raw(20_000)), head_of(as_json(20_000)), waits):
            with impatient.connect() as connection:
                connection.send(head)
                rejected = connection.answer()
                problem = json.loads(rejected.body)
                assert (rejected.status, problem["type"]) == (429, "urn:mlp-serving:queue-too-long"), problem
                assert "and at most 0.001 s is allowed; send fewer requests at once" in problem["detail"]
                assert (rejected.headers["connection"], int(rejected.headers["retry-after"]) >= 1) == ("close", True)
                connection.send(b" " * 1000)
                assert connection.is_closed()
        assert [small(impatient).status for _ in range(5)] == [200] * 5
        assert busy.answer().status == 200
    assert impatient.metrics()["mlp_rejections_total small queue-too-long"] == 3


def test_a_client_that_sends_all_of_a_rejected_body_still_reads_why(impatient: Running) -> None:
    whole = raw(QUEUE_ROWS)
    with impatient.connect() as busy, impatient.connect() as connection:
        busy.send(raw(QUEUE_ROWS, slow(3e6)))
        assert small(impatient).status == 200
        connection.send(whole)
        assert connection.answer().status == 429
        assert connection.is_closed()
