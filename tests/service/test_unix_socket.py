"""A Unix socket's file: its mode, what is replaced, and what is left alone."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from service.errors import StartError
from service.unix_socket import UnixSocket, bind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mlp.sock"


def refused(path: Path) -> str:
    with pytest.raises(StartError) as caught:
        bind(path, 0o660)
    return str(caught.value)


def left_behind(path: Path) -> None:
    """What a killed server leaves."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))


def closed(bound: UnixSocket) -> None:
    bound.remove()
    bound.socket.close()


def test_the_mode_says_who_may_use_it(path: Path) -> None:
    for mode in (0o660, 0o600, 0o666):
        bound = bind(path, mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        closed(bound)
        assert not path.exists()


def test_a_socket_that_nobody_listens_on_is_replaced(path: Path) -> None:
    left_behind(path)
    bound = bind(path, 0o660)
    bound.check()
    bound.socket.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    closed(bound)


def test_the_socket_of_a_running_server_is_left_alone(path: Path) -> None:
    bound = bind(path, 0o660)
    bound.socket.listen()
    assert refused(path) == f"--uds {path} is the socket of a server that runs; stop it, or choose another path"
    bound.check()
    closed(bound)


def test_another_file_is_left_alone(path: Path) -> None:
    path.write_text("notes")
    assert refused(path) == f"--uds {path} is there already and is no socket; remove it, or choose another path"
    assert path.read_text() == "notes"


def test_a_path_that_cannot_be_bound(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "mlp.sock"
    assert refused(missing) == f"cannot listen on --uds {missing}: No such file or directory; choose another path"
    long = tmp_path / ("x" * 120)
    assert refused(long) == f"cannot listen on --uds {long}: AF_UNIX path too long; choose another path"


def test_a_path_that_another_server_took_is_left_to_it(path: Path) -> None:
    """Both started at once, and neither listened yet."""
    first, second = bind(path, 0o660), bind(path, 0o660)
    with pytest.raises(StartError, match="was taken by another server meanwhile; choose another path"):
        first.check()
    closed(first)
    second.check()
    closed(second)
    second = bind(path, 0o660)
    first.remove()
    second.check()
    closed(second)
