"""The sockets: a taken address is one sentence, several workers share the address, and its options are named."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service.errors import StartError
from service.settings import Settings
from service.sockets import Sockets, bind, for_workers, listen, shown


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


def test_each_worker_binds_the_addresses_and_inherits_a_unix_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        admin_port = free.getsockname()[1]
    for options in ({"port": 0}, {"uds": tmp_path / "socket"}):
        bound = bind(Settings(admin_port=admin_port, **options))
        address = shown(bound.traffic)
        new = for_workers(bound, unread_timeout_s=1)
        workers = [new(), new()]
        assert [shown(each.traffic) for each in workers] == [address] * 2
        assert len({each.traffic.fileno() for each in workers}) == (1 if "uds" in options else 2)
        assert [each.admin and shown(each.admin) for each in workers] == [f"127.0.0.1:{admin_port}"] * 2
        for each in workers:
            each.remove()
        assert (tmp_path / "socket").exists() == ("uds" in options), "workers leave the file to their parent"
        bound.remove()
        assert not (tmp_path / "socket").exists()
        close(*workers)


@pytest.mark.parametrize(("host", "start"), [("127.0.0.1", "127.0.0.1:"), ("::1", "[::1]:")])
def test_an_address_is_shown_as_in_a_url(host: str, start: str) -> None:
    with listen(host, 0, unread_timeout_s=1) as bound:
        assert shown(bound) == f"{start}{bound.getsockname()[1]}"
