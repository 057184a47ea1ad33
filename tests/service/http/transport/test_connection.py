"""Hostile clients against a real server, through both doors: slow, endless, broken, silent, many."""

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

from tests.service.published import publish
from tests.service.running import PATIENCE_S, Answer, Connection, Running, post

GOOD = json.dumps({"inputs": [[1, 2, 3, 4]]}).encode()
LIMIT_BYTES = 65536
RECEIVE_S = 0.6
CONNECTIONS = 400
# More than kernels keep of a connection that nobody reads: tens of megabytes, where they are set to.
ENDLESS_BYTES = 512 * 1024**2


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@contextmanager
def started(models: Path, express: str, **options: float) -> Iterator[Running]:
    chosen = {"fast-path": express, "max-body-bytes": LIMIT_BYTES} | {
        name.replace("_", "-"): value for name, value in options.items()
    }
    with Running(models, *(f"--{name}={value}" for name, value in chosen.items())) as running:
        yield running
        running.terminate()
        assert running.exit_status() == 0
        assert [line for line in running.all_said() if '"error"' in line] == []


@pytest.fixture(scope="module", params=["true", "false"], ids=["express", "asgi"])
def express(request: pytest.FixtureRequest) -> str:
    door: str = request.param
    return door


# Only what is about time is asked of a server that waits for little of it: on a busy machine all takes longer.
@pytest.fixture(scope="module")
def server(express: str, models: Path) -> Iterator[Running]:
    with started(models, express) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(express: str, models: Path) -> Iterator[Running]:
    """It waits RECEIVE_S for a request to be whole."""
    with started(models, express, receive_timeout_s=RECEIVE_S) as running:
        yield running


@pytest.fixture(scope="module")
def forgetful(express: str, models: Path) -> Iterator[Running]:
    """It keeps a connection for a second between requests."""
    with started(models, express, keep_alive_timeout_s=1) as running:
        yield running


@pytest.fixture
def line(server: Running) -> Iterator[Connection]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def hurried(impatient: Running) -> Iterator[Connection]:
    with impatient.connect() as connection:
        yield connection


def check_problem(answer: Answer, status: int, name: str, detail: str) -> None:
    document = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == document["request_id"]
    assert (answer.status, document["status"], document["type"]) == (status, status, f"urn:mlp-serving:{name}")
    assert document["detail"] == detail


def check_closed_with_problem(line: Connection, status: int, name: str, detail: str) -> None:
    answer = line.answer()
    check_problem(answer, status, name, detail)
    assert answer.headers["connection"] == "close"
    assert line.is_closed()


HEAD_TOO_LATE = (408, "receive-timeout", "the headers did not arrive within 0.6 s; send them at once")
BODY_TOO_LATE = (408, "receive-timeout", "the body did not arrive within 0.6 s; send it at once")
NOT_HTTP = (400, "malformed-request", "the bytes are not an HTTP/1.1 request; check what sends them")
BODY_TOO_LARGE = (413, "body-too-large", f"the body has more than {LIMIT_BYTES} bytes; send fewer rows at once")


def test_headers_that_come_slowly_are_refused(hurried: Connection) -> None:
    hurried.send(b"POST /predict HTTP/1.1\r\nhost: ")
    check_closed_with_problem(hurried, *HEAD_TOO_LATE)


def test_headers_that_trickle_are_refused_all_the_same(hurried: Connection) -> None:
    hurried.send(b"GET /health/live HTTP/1.1\r\n")
    while not select.select([hurried.socket], [], [], 0.02)[0]:
        hurried.send(b"a: b\r\n")
    check_problem(hurried.answer(), *HEAD_TOO_LATE)


def test_slow_headers_after_an_answered_request_are_refused(hurried: Connection) -> None:
    hurried.send(post(GOOD))
    assert hurried.answer().status == 200
    hurried.send(b"G")
    check_closed_with_problem(hurried, *HEAD_TOO_LATE)


def test_endless_headers_are_refused(line: Connection) -> None:
    line.send(b"POST /predict HTTP/1.1\r\nx: " + b"a" * 70_000)
    check_closed_with_problem(
        line, 431, "headers-too-large", "the headers have more than 65536 bytes; send fewer, or shorter ones"
    )


@pytest.mark.parametrize(
    "sent", [post(GOOD)[:-3], b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"]
)
def test_a_body_that_does_not_come_is_refused(hurried: Connection, sent: bytes) -> None:
    hurried.send(sent)
    check_closed_with_problem(hurried, *BODY_TOO_LATE)


def test_a_body_that_comes_slowly_but_in_time_is_taken(line: Connection) -> None:
    request = post(GOOD)
    for start in range(0, len(request), 20):
        line.send(request[start : start + 20])
        time.sleep(0.01)
    assert line.answer().status == 200


def test_the_rest_of_a_refused_body_is_not_read_for_ever(hurried: Connection) -> None:
    """It is read for a while, as a client that still sends would not see an answer before a reset."""
    hurried.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n")
    check_problem(hurried.answer(), *BODY_TOO_LARGE)
    assert hurried.is_closed()


def test_a_body_for_a_path_that_reads_none_is_not_read_for_ever(hurried: Connection) -> None:
    hurried.send(b"POST /nowhere HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n")
    assert hurried.answer().status == 404
    assert hurried.is_closed()


def test_endless_trailers_are_not_read(line: Connection) -> None:
    line.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
    assert breaks(line, b"x: " + b"a" * 65_536 + b"\r\n")


def test_many_small_chunks_are_one_body(line: Connection) -> None:
    body = json.dumps({"inputs": [[1, 2, 3, 4]] * 5000}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body[: LIMIT_BYTES - 1])
    assert len(body) > LIMIT_BYTES
    line.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"2\r\n")
    line.send(b"ab\r\n0\r\n\r\n")
    check_problem(line.answer(), *BODY_TOO_LARGE)
    body = json.dumps({"inputs": [[1, 2, 3, 4]] * 1000}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    line.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert len(json.loads(line.answer().body)["predictions"]) == 1000


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
def test_what_leaves_doubt_about_a_body_is_no_request(line: Connection, head: str) -> None:
    line.send(f"POST /predict HTTP/1.1\r\nhost: test\r\n{head}\r\n\r\n".encode() + GOOD)
    check_closed_with_problem(line, *NOT_HTTP)


def test_a_body_shorter_than_its_length_takes_no_other_request_with_it(server: Running, line: Connection) -> None:
    """Its last byte is then the beginning of the next request, and none."""
    line.send(post(GOOD[:-1]) + GOOD[-1:])
    assert b"the body is not JSON" in line.answer().body
    assert line.is_closed() or line.answer().status == 400
    assert served(server)


def test_requests_in_a_row_are_answered_in_order_before_what_is_no_http(line: Connection) -> None:
    requests = [post(json.dumps({"inputs": [[1, 2, 3, 4]] * count}).encode()) for count in range(1, 6)]
    line.send(b"".join(requests) + b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n" + b"\x00nonsense")
    answers = [line.answer() for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 6
    assert [len(json.loads(answer.body)["predictions"]) for answer in answers[:5]] == [1, 2, 3, 4, 5]
    assert line.is_closed() or line.answer().status == 400  # where all was answered before the nonsense came


def test_a_connection_that_says_nothing_is_closed(forgetful: Running) -> None:
    started_s = time.monotonic()
    with forgetful.connect() as line:
        assert line.is_closed()
        assert time.monotonic() - started_s > 0.9
        with pytest.raises(AssertionError):
            line.answer()


def test_a_connection_that_says_no_more_is_closed(forgetful: Running) -> None:
    with forgetful.connect() as line:
        line.send(post(GOOD))
        assert line.answer().status == 200
        assert line.is_closed()


H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA")


def test_a_client_that_offers_http_2_is_answered_in_http_1(line: Connection) -> None:
    """As Java's own does with every request."""
    for _ in range(3):
        line.send(post(GOOD, "/predict", *H2C))
        assert line.answer().status == 200


@pytest.mark.parametrize("request_", [post(GOOD), b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n"])
def test_a_client_that_closes_its_side_is_answered(line: Connection, request_: bytes) -> None:
    line.send(request_ * 3)
    line.socket.shutdown(socket.SHUT_WR)
    assert [line.answer().status for _ in range(3)] == [200] * 3
    assert line.is_closed()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /predict HTTP/1.1\r\ncontent-length: 30000000\r\n", 400),
        ("POST /predict HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 30000000\r\n", 413),
        ("POST /predict HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 30000000\r\n", 413),
        ("POST /nowhere HTTP/1.0\r\ncontent-length: 30000000\r\n", 404),
    ],
)
def test_who_still_sends_can_read_the_last_answer(line: Connection, head: str, status: int) -> None:
    """The connection is not reset under the body, but closed on our side, while what comes is thrown away."""
    line.send(f"{head}\r\n".encode())
    for _ in range(50):
        line.send(b" " * 4000)
    answer = line.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert line.is_closed()


def test_who_never_stops_sending_is_closed(line: Connection) -> None:
    line.send(b"GET /models HTTP/1.1\r\n\r\n")
    assert line.answer().status == 400
    assert breaks(line, b" " * 65_536)


def test_a_client_that_closes_its_side_amid_a_request_harms_nobody(server: Running, line: Connection) -> None:
    line.send(post(GOOD)[:-1])
    line.socket.shutdown(socket.SHUT_WR)
    assert line.is_closed()
    assert served(server)


def test_a_client_that_resets_harms_nobody(server: Running) -> None:
    for sent in (b"", b"POST", post(GOOD)[:-1], post(GOOD) * 100):
        with server.connect() as line:
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.send(sent)
    assert served(server)
    assert in_flight_falls_to(server, 1)  # the scrape's own


def test_hundreds_of_silent_and_half_started_connections_harm_nobody(server: Running) -> None:
    lines = [server.connect() for _ in range(CONNECTIONS)]
    for index, line in enumerate(lines):
        line.send((b"", b"GET /", post(GOOD)[:-1])[index % 3])
    assert served(server)
    for line in lines:
        line.close()
    assert in_flight_falls_to(server, 1)
    assert served(server)


def test_a_compression_bomb_is_refused_before_it_is_opened(server: Running, line: Connection) -> None:
    bomb = gzip.compress(bytes(64 * 1024**2))
    assert len(bomb) == pytest.approx(LIMIT_BYTES, rel=0.1)
    line.send(post(bomb[: LIMIT_BYTES - 1], "/predict", "content-encoding: gzip"))
    check_problem(
        line.answer(),
        413,
        "body-too-large",
        f"the body expands to more than {LIMIT_BYTES} bytes; send fewer rows at once",
    )
    assert served(server)


def test_a_client_that_does_not_read_is_let_go(server: Running) -> None:
    many = post(json.dumps({"inputs": [[1, 2, 3, 4]] * 3000}).encode())
    with Connection(server.port, receive_buffer_bytes=4096) as line:
        line.socket.settimeout(0.5)
        assert breaks(line, many)  # it is slow to take more, as its answers are not taken
        assert in_flight_falls_to(server, 1)
    assert served(server)


def test_what_is_no_http_counts_like_every_other_refusal(server: Running) -> None:
    before = server.metrics()
    with server.connect() as line:
        line.send(b"\x16\x03\x01 hello\r\n\r\n")
        assert line.answer().status == 400
    after = server.metrics()
    for name in ("mlp_rejections_total malformed-request", "mlp_requests_total unmatched 400"):
        assert after[name] - before.get(name, 0) == 1


def test_a_server_without_file_descriptors_waits_for_them(models: Path) -> None:
    with Running(models, files=64) as server:
        lines = [server.connect() for _ in range(100)]  # the kernel completes them
        lines[0].send(post(GOOD))
        assert lines[0].answer().status == 200
        for line in lines:
            line.close()
        assert served_again(server)
        server.terminate()
        assert server.exit_status() == 0


def served_again(server: Running) -> bool:
    """Whether a request is answered once the server has noticed that the others are gone."""
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        try:
            return served(server)
        except OSError:
            time.sleep(0.05)
    return False


def breaks(line: Connection, data: bytes) -> bool:
    """Whether the server ever takes no more of ``data``, sent again and again."""
    try:
        for _ in range(ENDLESS_BYTES // len(data)):
            line.send(data)
    except OSError:
        return True
    return False


def served(server: Running) -> bool:
    with server.connect() as line:
        line.send(post(GOOD))
        return line.answer().status == 200


def in_flight_falls_to(server: Running, count: int) -> bool:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        if server.metrics()["mlp_requests_in_flight"] <= count:
            return True
        time.sleep(0.05)
    return False
