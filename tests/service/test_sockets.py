"""The sockets: a taken address is one sentence, several workers share the address, and its options are named."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import warnings
from collections import Counter
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from service.errors import StartError
from service.settings import Settings
from service.sockets import Sockets, WorkerSockets, bind, listen, shown
from tests.service.forked import in_a_child


def test_an_unavailable_address_is_a_clear_error() -> None:
    with listen("127.0.0.1", 0, unread_timeout_s=1) as other:
        other.listen()
        port = other.getsockname()[1]
        for shared in (False, True):
            with pytest.raises(StartError) as refused:
                listen("127.0.0.1", port, unread_timeout_s=1, shared=shared)
            assert str(refused.value) == (
                f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --host and --port"
            )
    with pytest.raises(StartError) as refused:
        listen("256.0.0.1", 0, unread_timeout_s=1)
    assert str(refused.value) == (
        "cannot listen on 256.0.0.1 port 0: Name or service not known; choose another with --host and --port"
    )


def test_a_taken_admin_port_names_its_options() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as refused:
            bind(Settings(port=0, admin_port=port))
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --admin-host and "
        "--admin-port"
    )


def close(*bound: Sockets) -> None:
    for each in bound:
        for one in each.each():
            one.close()
        if each.inbox is not None:
            each.inbox.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def test_each_worker_has_sockets_for_the_addresses_and_inherits_a_unix_socket(tmp_path: Path) -> None:
    admin_port = free_port()
    for options in ({"port": 0}, {"uds": tmp_path / "socket"}):
        bound = bind(Settings(admin_port=admin_port, **options))
        address = shown(bound.traffic)
        with closing(WorkerSockets(bound, 2, unread_timeout_s=1)) as workers:
            for index in (0, 1):
                in_a_child(has_sockets, workers, index, address, admin_port)
        assert (tmp_path / "socket").exists() == ("uds" in options), "workers leave the file to their parent"
        bound.remove()
        assert not (tmp_path / "socket").exists()
        close(bound)


def has_sockets(workers: WorkerSockets, index: int, address: str, admin_port: int) -> None:
    own = workers.of(index)
    assert shown(own.traffic) == address
    assert own.admin is not None
    assert shown(own.admin) == f"127.0.0.1:{admin_port}"
    own.listen(1)
    own.remove()


class Forked:
    """Two workers that listen on two ports and accept nothing."""

    def __init__(self) -> None:
        bound = bind(Settings(port=0, admin_port=free_port()))
        assert bound.admin is not None
        self.addresses = [each.getsockname() for each in (bound.traffic, bound.admin)]
        self.sockets = WorkerSockets(bound, 2, unread_timeout_s=1)
        self._clients: list[socket.socket] = []
        self._processes = [self._start(index) for index in (0, 1)]

    def connect(self, each: int) -> None:
        """Connect so many clients to each port."""
        self._clients += [socket.create_connection(address, 30) for _ in range(each) for address in self.addresses]

    def kill(self, index: int) -> None:
        self._processes[index].kill()
        self._processes[index].join()

    def close(self) -> None:
        for each in self._clients:
            each.close()
        self.sockets.close()

    def _start(self, index: int) -> BaseProcess:
        listens, tell = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=self._work, args=(index, tell), daemon=True)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
            process.start()
        assert listens.recv() is None
        return process

    def _work(self, index: int, tell: Connection) -> None:
        self.sockets.of(index).listen(100)
        tell.send(None)
        signal.pause()


def passed(sockets: Sockets) -> Counter[bool]:
    """How many connections of each port are in the inbox."""
    assert sockets.inbox is not None
    taken = list(sockets.inbox.take())
    for each in taken:
        each.connection.close()
    return Counter(each.is_admin for each in taken)


def test_what_a_dead_worker_has_not_accepted_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """1. Clients connect. 2. A worker is killed: the other gets its connections, and all new ones. 3. It is killed."""
    caplog.set_level("INFO")
    workers = Forked()
    workers.connect(16)
    workers.kill(0)
    workers.sockets.replace(0, heirs=[1])
    workers.connect(16)
    workers.kill(1)
    workers.sockets.replace(1, heirs=[])
    own = workers.sockets.of(1)
    assert passed(own) == {False: 32, True: 32}
    (first, all_first), (second, all_second) = (numbers(record.getMessage()) for record in caplog.records)
    assert (first, second, first + second) == (all_first, all_second, 64)
    with pytest.raises(ConnectionRefusedError):
        workers.connect(1)
    workers.close()
    close(own)


def numbers(message: str) -> list[int]:
    """Of "passed on 3 of 4 connections": 3 and 4."""
    return [int(word) for word in message.split()[2:5:2]]


def test_a_worker_that_never_listened_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sockets = WorkerSockets(bind(Settings(port=0)), 2, unread_timeout_s=1)
    sockets.replace(0, heirs=[])
    own = sockets.of(0)
    assert passed(own) == {}
    assert caplog.records == []
    own.listen(1)
    close(own)


@pytest.mark.parametrize(("host", "start"), [("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")])
def test_an_address_is_shown_as_in_a_url(host: str, start: str) -> None:
    with listen(host, 0, unread_timeout_s=1) as bound:
        assert shown(bound) == f"{start}{bound.getsockname()[1]}"
