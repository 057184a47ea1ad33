"""Hostile clients against a real server, on both paths: slow, endless, broken, silent, many."""

from __future__ import annotations

import gzip
import json
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service.running import PATIENCE_S, Answer, Connection, Running, post

BODY = json.dumps({"inputs": [[1, 2, 3, 4]]}).encode()
LIMIT_BYTES = 65536
RECEIVE_S = 0.6
CONNECTIONS = 400
# More than the tens of megabytes that a kernel may buffer for a connection that nobody reads.
ENDLESS_BYTES = 512 * 1024**2


@contextmanager
def started(models: Path, fast: str, **options: float) -> Iterator[Running]:
    values = {"fast-path": fast, "max_body_bytes": LIMIT_BYTES} | options
    with Running(models, *(f"--{name.replace('_', '-')}={value}" for name, value in values.items())) as running:
        yield running
        running.terminate()
        assert running.exit_status() == 0
        assert [line for line in running.whole_log() if '"error"' in line] == []


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast path", "FastAPI"])
def fast(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


# Only tests of timeouts use a server with a short one: on a busy machine everything takes longer.
@pytest.fixture(scope="module")
def server(fast: str, shared_models: Path) -> Iterator[Running]:
    with started(shared_models, fast) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(fast: str, shared_models: Path) -> Iterator[Running]:
    """A server that gives a request RECEIVE_S to arrive."""
    with started(shared_models, fast, receive_timeout_s=RECEIVE_S) as running:
        yield running


@pytest.fixture(scope="module")
def forgetful(fast: str, shared_models: Path) -> Iterator[Running]:
    """A server that keeps an idle connection for a second."""
    with started(shared_models, fast, keep_alive_timeout_s=1) as running:
        yield running


@pytest.fixture
def connection(server: Running) -> Iterator[Connection]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def timed(impatient: Running) -> Iterator[Connection]:
    with impatient.connect() as connection:
        yield connection


def check_problem(answer: Answer, status: int, name: str, detail: str) -> None:
    document = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == document["request_id"]
    assert (answer.status, document["status"], document["type"]) == (status, status, f"urn:mlp-serving:{name}")
    assert document["detail"] == detail


def check_closed_with_problem(connection: Connection, status: int, name: str, detail: str) -> None:
    answer = connection.answer()
    check_problem(answer, status, name, detail)
    assert answer.headers["connection"] == "close"
    assert connection.is_closed()


HEAD_TOO_LATE = (408, "receive-timeout", "the headers did not arrive within 0.6 s; send them at once")
BODY_TOO_LATE = (408, "receive-timeout", "the body did not arrive within 0.6 s; send it at once")
NOT_HTTP = (400, "malformed-request", "the bytes are not an HTTP/1.1 request; check what sends them")
BODY_TOO_LARGE = (413, "body-too-large", f"the body has more than {LIMIT_BYTES} bytes; send fewer rows at once")


def test_slow_headers_are_rejected(timed: Connection) -> None:
    timed.send(b"POST /predict HTTP/1.1\r\nhost: ")
    check_closed_with_problem(timed, *HEAD_TOO_LATE)


def test_headers_that_trickle_are_rejected(timed: Connection) -> None:
    timed.send(b"GET /health/live HTTP/1.1\r\n")
    while not select.select([timed.socket], [], [], 0.02)[0]:
        timed.send(b"a: b\r\n")
    check_problem(timed.answer(), *HEAD_TOO_LATE)


def test_slow_headers_after_an_answered_request_are_rejected(timed: Connection) -> None:
    timed.send(post(BODY))
    assert timed.answer().status == 200
    timed.send(b"G")
    check_closed_with_problem(timed, *HEAD_TOO_LATE)


def test_endless_headers_are_rejected(connection: Connection) -> None:
    connection.send(b"POST /predict HTTP/1.1\r\nx: " + b"a" * 70_000)
    check_closed_with_problem(
        connection, 431, "headers-too-large", "the headers have more than 65536 bytes; send fewer, or shorter ones"
    )


@pytest.mark.parametrize(
    "sent", [post(BODY)[:-3], b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"]
)
def test_a_body_that_does_not_arrive_is_rejected(timed: Connection, sent: bytes) -> None:
    timed.send(sent)
    check_closed_with_problem(timed, *BODY_TOO_LATE)


def test_a_slow_body_that_arrives_in_time_is_answered(connection: Connection) -> None:
    request = post(BODY)
    for start in range(0, len(request), 20):
        connection.send(request[start : start + 20])
        time.sleep(0.01)
    assert connection.answer().status == 200


def test_the_rest_of_a_rejected_body_is_read_for_a_while(timed: Connection) -> None:
    """It is read for a while: a reset could discard the response to a client that still sends."""
    timed.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n")
    check_problem(timed.answer(), *BODY_TOO_LARGE)
    assert timed.is_closed()


def test_an_unused_body_is_not_read_for_ever(timed: Connection) -> None:
    timed.send(b"POST /nowhere HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n")
    assert timed.answer().status == 404
    assert timed.is_closed()


def test_endless_trailers_are_not_read(connection: Connection) -> None:
    connection.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
    assert breaks(connection, b"x: " + b"a" * 65_536 + b"\r\n")


def test_many_small_chunks_are_one_body(connection: Connection) -> None:
    body = json.dumps({"inputs": [[1, 2, 3, 4]] * 5000}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body[: LIMIT_BYTES - 1])
    assert len(body) > LIMIT_BYTES
    connection.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"2\r\n")
    connection.send(b"ab\r\n0\r\n\r\n")
    check_problem(connection.answer(), *BODY_TOO_LARGE)
    body = json.dumps({"inputs": [[1, 2, 3, 4]] * 1000}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    connection.send(
        b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    )
    assert len(json.loads(connection.answer().body)["predictions"]) == 1000


@pytest.mark.parametrize(
    "head",
    [
        "content-length: 5\r\ncontent-length: 27",
        "content-length: 27\r\ntransfer-encoding: chunked",
        "content-length: -1",
        "content-length: 1e3",
        "content-length: 99999999999999999999999",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "no colon",
        "x: a\x00b",
    ],
)
def test_an_ambiguous_body_is_rejected(connection: Connection, head: str) -> None:
    connection.send(f"POST /predict HTTP/1.1\r\nhost: test\r\n{head}\r\n\r\n".encode() + BODY)
    check_closed_with_problem(connection, *NOT_HTTP)


def test_a_body_longer_than_declared_harms_no_other_request(server: Running, connection: Connection) -> None:
    """Its last byte is the beginning of the next request, which is invalid."""
    connection.send(post(BODY[:-1]) + BODY[-1:])
    assert b"the body is not JSON" in connection.answer().body
    assert connection.is_closed() or connection.answer().status == 400
    assert served(server)


def test_pipelined_requests_are_answered_in_order_before_garbage(connection: Connection) -> None:
    requests = [post(json.dumps({"inputs": [[1, 2, 3, 4]] * count}).encode()) for count in range(1, 6)]
    connection.send(b"".join(requests) + b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n" + b"\x00garbage")
    answers = [connection.answer() for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 6
    assert [len(json.loads(answer.body)["predictions"]) for answer in answers[:5]] == [1, 2, 3, 4, 5]
    # It is closed if all requests were answered before the garbage came.
    assert connection.is_closed() or connection.answer().status == 400


def test_a_silent_connection_is_closed(forgetful: Running) -> None:
    started_s = time.monotonic()
    with forgetful.connect() as connection:
        assert connection.is_closed()
        assert time.monotonic() - started_s > 0.9
        with pytest.raises(AssertionError):
            connection.answer()


def test_an_idle_connection_is_closed(forgetful: Running) -> None:
    with forgetful.connect() as connection:
        connection.send(post(BODY))
        assert connection.answer().status == 200
        assert connection.is_closed()


H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA")


def test_a_client_that_offers_http_2_is_answered_in_http_1(connection: Connection) -> None:
    """As Java's HttpClient does with every request."""
    for _ in range(3):
        connection.send(post(BODY, "/predict", *H2C))
        assert connection.answer().status == 200


@pytest.mark.parametrize("request_", [post(BODY), b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n"])
def test_a_client_that_ends_its_side_is_answered(connection: Connection, request_: bytes) -> None:
    connection.send(request_ * 3)
    connection.socket.shutdown(socket.SHUT_WR)
    assert [connection.answer().status for _ in range(3)] == [200] * 3
    assert connection.is_closed()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /predict HTTP/1.1\r\ncontent-length: 30000000\r\n", 400),
        ("POST /predict HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 30000000\r\n", 413),
        ("POST /predict HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 30000000\r\n", 413),
        ("POST /nowhere HTTP/1.0\r\ncontent-length: 30000000\r\n", 404),
    ],
)
def test_a_client_that_still_sends_can_read_the_last_response(connection: Connection, head: str, status: int) -> None:
    """The server ends its side and discards what arrives, instead of resetting."""
    connection.send(f"{head}\r\n".encode())
    for _ in range(50):
        connection.send(b" " * 4000)
    answer = connection.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert connection.is_closed()


def test_a_client_that_never_stops_sending_is_closed(connection: Connection) -> None:
    connection.send(b"GET /models HTTP/1.1\r\n\r\n")
    assert connection.answer().status == 400
    assert breaks(connection, b" " * 65_536)


def test_a_client_that_ends_its_side_within_a_request_harms_nobody(server: Running, connection: Connection) -> None:
    connection.send(post(BODY)[:-1])
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.is_closed()
    assert served(server)


def test_a_client_that_resets_harms_nobody(server: Running) -> None:
    for sent in (b"", b"POST", post(BODY)[:-1], post(BODY) * 100):
        with server.connect() as connection:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.send(sent)
    assert served(server)
    assert in_flight_falls_to(server, 1)  # the scrape itself


def test_hundreds_of_silent_and_incomplete_connections_harm_nobody(server: Running) -> None:
    connections = [server.connect() for _ in range(CONNECTIONS)]
    for index, connection in enumerate(connections):
        connection.send((b"", b"GET /", post(BODY)[:-1])[index % 3])
    assert served(server)
    for connection in connections:
        connection.close()
    assert in_flight_falls_to(server, 1)
    assert served(server)


def test_a_compression_bomb_is_rejected_before_it_is_expanded(server: Running, connection: Connection) -> None:
    bomb = gzip.compress(bytes(64 * 1024**2))
    assert len(bomb) == pytest.approx(LIMIT_BYTES, rel=0.1)
    connection.send(post(bomb[: LIMIT_BYTES - 1], "/predict", "content-encoding: gzip"))
    check_problem(
        connection.answer(),
        413,
        "body-too-large",
        f"the body expands to more than {LIMIT_BYTES} bytes; send fewer rows at once",
    )
    assert served(server)


def test_a_client_that_does_not_read_is_no_longer_read_from(server: Running) -> None:
    many = post(json.dumps({"inputs": [[1, 2, 3, 4]] * 3000}).encode())
    with Connection(server.port, receive_buffer_bytes=4096) as connection:
        connection.socket.settimeout(0.5)
        assert breaks(connection, many)  # the server stops reading, as its responses are not read
        assert in_flight_falls_to(server, 1)
    assert served(server)


def test_garbage_appears_in_the_metrics(server: Running) -> None:
    before = server.metrics()
    with server.connect() as connection:
        connection.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.answer().status == 400
    after = server.metrics()
    for name in ("mlp_rejections_total  malformed-request", "mlp_requests_total  unmatched 400"):
        assert after[name] - before.get(name, 0) == 1


def test_a_server_without_file_descriptors_waits_for_them(shared_models: Path) -> None:
    with Running(shared_models, files=64) as server:
        connections = [server.connect() for _ in range(100)]  # the kernel completes them
        connections[0].send(post(BODY))
        assert connections[0].answer().status == 200
        for connection in connections:
            connection.close()
        assert served_again(server)
        server.terminate()
        assert server.exit_status() == 0


def served_again(server: Running) -> bool:
    """Whether a request is answered once the server has noticed the closed connections."""
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        try:
            return served(server)
        except OSError:
            time.sleep(0.05)
    return False


def breaks(connection: Connection, data: bytes) -> bool:
    """Whether the server stops reading ``data``, sent again and again."""
    try:
        for _ in range(ENDLESS_BYTES // len(data)):
            connection.send(data)
    except OSError:
        return True
    return False


def served(server: Running) -> bool:
    with server.connect() as connection:
        connection.send(post(BODY))
        return connection.answer().status == 200


def in_flight_falls_to(server: Running, count: int) -> bool:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        if server.metrics()["mlp_requests_in_flight"] <= count:
            return True
        time.sleep(0.05)
    return False
