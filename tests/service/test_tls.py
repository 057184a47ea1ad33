"""Stories of TLS: a real server, its certificates, and clients that do what they should not."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from benchmarks import clients
from benchmarks.clients import Clients, Tally
from tests.service.certificates import Authority, options, replace
from tests.service.grpc.running_grpc import free_port
from tests.service.published import publish
from tests.service.running import PATIENCE_S, Connection, Running, post, refused

ROW = [0.1, 0.2, 0.3, 0.4]
ONE = post(json.dumps({"inputs": [ROW]}).encode())
MANY_ROWS = 5000
AUTHORITY = Authority()


@dataclass(frozen=True)
class Secured:
    """A server, the folder of its certificate, and its port for gRPC."""

    server: Running
    folder: Path
    grpc_port: int


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="module")
def secured(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder, grpc_port = tmp_path_factory.mktemp("tls"), free_port()
    arguments = [*options(*AUTHORITY.write(folder)), f"--grpc-port={grpc_port}", "--reload-interval-s=0.1"]
    arguments += ["--receive-timeout-s=1", "--max-body-bytes=1000000"]
    with Running(models, *arguments, tls=AUTHORITY.client()) as server:
        yield Secured(server, folder, grpc_port)
        server.terminate()
        assert server.exit_status() == 0
        errors = [line for line in server.whole_log() if '"level":"error"' in line]
        assert all("the new TLS files are not used" in line for line in errors), errors


@pytest.fixture
def server(secured: Secured) -> Running:
    return secured.server


def failures(server: Running, reason: str) -> float:
    return server.metrics().get(f"mlp_tls_handshake_failures_total {reason}", 0.0)


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again; the test's timeout ends it."""
    while not condition():
        pass


def test_clients_that_trust_the_authority_are_answered(server: Running) -> None:
    assert server.address.startswith("https://")
    with server.client() as client:
        assert client.post("/predict", json={"inputs": [ROW]}).status_code == 200
        assert client.get("/models").status_code == 200
    offered = AUTHORITY.client()
    offered.set_alpn_protocols(["h2", "http/1.1"])
    with Connection(server.port, tls=offered) as line:
        assert isinstance(line.socket, ssl.SSLSocket)
        assert line.socket.selected_alpn_protocol() == "http/1.1"
        assert line.socket.version() == "TLSv1.3"


def test_the_fast_path_and_pipelined_requests(server: Running) -> None:
    with server.connect() as line:
        line.send(ONE)
        first = line.answer()
        line.send(5 * ONE)
        assert [line.answer().body for _ in range(5)] == [first.body] * 5
        line.send(ONE[:-10])
        line.send(ONE[-10:])
        assert line.answer().body == first.body


def test_clients_that_do_not_trust_it_are_counted(server: Running) -> None:
    before = failures(server, "not-trusted")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{server.address}/models", verify=Authority().client())
    until(lambda: failures(server, "not-trusted") == before + 1)


def test_plain_http_is_closed_and_counted(server: Running) -> None:
    before = failures(server, "plain-http")
    with Connection(server.port) as line:
        line.send(ONE)
        assert line.is_closed()
    until(lambda: failures(server, "plain-http") == before + 1)


def test_a_client_that_never_finishes_the_handshake_is_closed_and_counted(server: Running) -> None:
    before = failures(server, "timeout")
    with Connection(server.port) as silent, Connection(server.port) as slow:
        slow.send(b"\x16\x03\x01\x02\x00")  # the first bytes of a ClientHello
        assert silent.is_closed()
        assert slow.is_closed()
    until(lambda: failures(server, "timeout") == before + 2)


def test_a_client_that_leaves_at_once_is_counted(server: Running) -> None:
    before = failures(server, "disconnected")
    Connection(server.port).close()
    until(lambda: failures(server, "disconnected") == before + 1)


def test_a_body_that_is_too_large_is_answered(server: Running) -> None:
    """The client still sends after the response was sent, and must be able to read it then."""
    with server.connect() as line:
        line.send(b"POST /predict HTTP/1.1\r\nhost: test\r\ncontent-length: 9000000\r\n\r\n")
        until(lambda: server.metrics().get("mlp_rejections_total small body-too-large", 0.0) == 1)
        for _ in range(5):
            line.send(b"x" * 100_000)
        assert line.answer().status == 413


def test_a_slow_reader_gets_the_whole_last_response(server: Running) -> None:
    """The server closes the connection before the client has read."""
    body = json.dumps({"inputs": [ROW] * MANY_ROWS}).encode()
    with Connection(server.port, receive_buffer_bytes=4096, tls=AUTHORITY.client()) as line:
        line.send(post(body, "/predict", "connection: close"))
        until(lambda: server.metrics()["mlp_requests_in_flight"] == 0)  # the scrape does not count itself
        answer = line.answer()
        assert len(json.loads(answer.body)["predictions"]) == MANY_ROWS
        assert len(answer.body) > 128 * 1024, "it fits the buffers"
        assert line.is_closed()


def channel(port: int, *client: bytes) -> grpc.Channel:
    """A channel of a client that trusts the authority, and has a key and a certificate or not."""
    return grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(AUTHORITY.pem, *client))


def is_live(channel: grpc.Channel) -> bool:
    call = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
    answer: bytes = call(b"", timeout=PATIENCE_S)
    return answer == b"\x08\x01"  # live: true


def serial_number(port: int) -> str:
    """Of the certificate that a new connection gets."""
    with Connection(port, tls=AUTHORITY.client()) as line:
        assert isinstance(line.socket, ssl.SSLSocket)
        return str(line.socket.getpeercert()["serialNumber"])  # type: ignore[index]


def test_a_rotation_under_load_loses_nothing(secured: Secured) -> None:
    """1. Clients send over old and new connections. 2. The files are replaced. 3. New connections get the new ones."""
    server = secured.server
    before, grpc_before = serial_number(server.port), serial_number(secured.grpc_port)
    assert before == grpc_before

    async def story() -> tuple[Tally, Tally]:
        group = Clients(server.port, AUTHORITY.client())
        kept, opened = group.keep_alive(2, ONE), group.reconnecting(2, ONE)
        for _ in range(2):
            old = await asyncio.to_thread(serial_number, server.port)
            AUTHORITY.write(secured.folder)
            while await asyncio.to_thread(serial_number, server.port) == old:
                await asyncio.sleep(0)
            wanted = sum(opened.answers.values()) + 10
            while sum(opened.answers.values()) < wanted:
                await asyncio.sleep(0.01)
        await group.stop(PATIENCE_S)
        return kept, opened

    with channel(secured.grpc_port) as open_before:
        assert is_live(open_before)
        kept, opened = clients.run(story())
        assert is_live(open_before)
    for tally in (kept, opened):
        assert (tally.lost, tally.refused, set(tally.answers)) == (0, 0, {200})
    assert kept.closed == 0
    assert serial_number(server.port) == serial_number(secured.grpc_port) != before
    with channel(secured.grpc_port) as open_after:
        assert is_live(open_after)


def test_a_broken_pair_leaves_the_old_one_in_use(secured: Secured) -> None:
    before = serial_number(secured.server.port)
    replace(secured.folder / "key.pem", AUTHORITY.issue()[1])
    secured.server.wait_for("does not belong to the certificate")
    assert serial_number(secured.server.port) == before
    with channel(secured.grpc_port) as still:
        assert is_live(still)
    AUTHORITY.write(secured.folder)
    secured.server.wait_for("new connections use the new certificate")


class ByHand:
    """A client that sends several TLS records in one piece."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")
        self.repeat(self.tls.do_handshake)

    def repeat(self, step: Callable[[], object]) -> None:
        """Do it until it has read what it needs."""
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                self.flush()
                self._in.write(self.socket.recv(65536))
            else:
                self.flush()
                return

    def flush(self) -> None:
        self.socket.sendall(self._out.read())


def send_and_end(port: int, context: ssl.SSLContext) -> None:
    """A request and close_notify in one piece. TLS has no half-closed connections: there is no answer."""
    client = ByHand(port, context)
    with client.socket:
        client.tls.write(b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n")
        client.repeat(client.tls.unwrap)
        assert client.socket.recv(65536) == b""


def test_clients_with_certificates(models: Path, tmp_path: Path) -> None:
    """Without the right one a client is refused. At SIGTERM no request of the others is lost."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    arguments = [*options(*AUTHORITY.write(tmp_path)), f"--tls-client-ca={tmp_path / 'ca.pem'}"]
    arguments.append(f"--grpc-port={(grpc_port := free_port())}")
    with Running(models, *arguments, workers=2, tls=AUTHORITY.client(AUTHORITY)) as server:
        with server.client() as client:
            assert client.post("/predict", json={"inputs": [ROW]}).status_code == 200
        for refused_client in (AUTHORITY.client(), AUTHORITY.client(Authority())):
            with pytest.raises((httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError)):
                httpx.post(f"{server.address}/predict", json={"inputs": [ROW]}, verify=refused_client)
        with channel(grpc_port, *AUTHORITY.client_pair()) as allowed:
            assert is_live(allowed)
        for pair in ((), Authority().client_pair()):
            with channel(grpc_port, *pair) as not_allowed, pytest.raises(grpc.RpcError) as caught:
                is_live(not_allowed)
            assert isinstance(caught.value, grpc.Call)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        found = server.metrics()
        assert found[f"mlp_tls_certificate_expires_at_seconds {tmp_path / 'cert.pem'}"] > time.time()
        for reason in ("no-client-certificate", "client-certificate"):
            assert found[f"mlp_tls_handshake_failures_total {reason}"] == 1
        idle, silent = server.connect(), Connection(server.port)
        assert server.tls is not None
        send_and_end(server.port, server.tls)

        async def story() -> list[Tally]:
            group = Clients(server.port, server.tls)
            tallies = [group.keep_alive(4, ONE), group.reconnecting(4, ONE)]
            while min(sum(tally.answers.values()) for tally in tallies) < 50:
                await asyncio.sleep(0.01)
            server.terminate()
            assert await asyncio.to_thread(server.exit_status) == 0
            await group.stop(PATIENCE_S)
            return tallies

        for tally in clients.run(story()):
            assert (tally.lost, set(tally.answers)) == (0, {200})
        assert idle.is_closed()
        assert silent.is_closed()
        silent.close()
        assert not any('"error"' in line or '"warning"' in line for line in server.whole_log())


def test_a_request_that_follows_a_handshake_during_the_drain_is_answered(models: Path, tmp_path: Path) -> None:
    """1. A client connects. 2. SIGTERM. 3. It shakes hands and sends a request, which is answered."""
    with Running(models, *options(*AUTHORITY.write(tmp_path)), tls=AUTHORITY.client()) as server:
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
        server.drain()
        with AUTHORITY.client().wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
            encrypted.sendall(ONE)
            assert encrypted.recv(12) == b"HTTP/1.1 200"
        assert server.exit_status() == 0


def test_an_encrypted_key_without_its_password_is_one_sentence(models: Path, tmp_path: Path) -> None:
    cert, key = AUTHORITY.write(tmp_path)
    replace(key, b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert refused("--models", str(models), "--workers=2", *options(cert, key)) == (
        f"--tls-key {key} is encrypted; name the file of its password with --tls-key-password-file"
    )
