"""The client's address: from the right, as far as proxies are trusted, whatever a client writes at the left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import StartError
from service.http.transport.proxies import TrustedProxies, plain

TRUSTED = TrustedProxies("10.0.0.0/8, 127.0.0.1, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "sent", "client"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", b"", "10.0.0.1"),
        ("8.8.8.8", b"1.2.3.4", "8.8.8.8"),
        ("10.0.0.1", b"1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", b"1.2.3.4, 5.6.7.8", "5.6.7.8"),
        ("10.0.0.1", b"1.2.3.4,5.6.7.8 ,10.9.9.9", "5.6.7.8"),
        ("10.0.0.1", b"10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("10.0.0.1", b"1.2.3.4:5678", "1.2.3.4"),
        ("fd00::1", b"[2001:db8::1]:443", "2001:db8::1"),
        ("fd00::1", b"2001:DB8::1", "2001:db8::1"),
        ("127.0.0.1", b"::ffff:1.2.3.4", "1.2.3.4"),
        ("127.0.0.1", b"1.2.3.4, unknown", "127.0.0.1"),
        ("127.0.0.1", b"1.2.3.4, _hidden, 10.0.0.2", "10.0.0.2"),
        ("127.0.0.1", b"1.2.3.4,", "127.0.0.1"),
        ("127.0.0.1", b"fe80::1%eth0", "127.0.0.1"),
        ("127.0.0.1", b"1.2.3.4\xff", "127.0.0.1"),
        ("", b"1.2.3.4", ""),
        ("127.0.0.2", b"1.2.3.4", "127.0.0.2"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(peer: str, sent: bytes | None, client: str) -> None:
    assert TRUSTED.client(peer, sent) == client


@given(st.binary(max_size=200).filter(lambda sent: b"\n" not in sent))
def test_what_the_client_sends_never_counts(sent: bytes) -> None:
    assert TRUSTED.client("8.8.8.8", sent) == "8.8.8.8"
    assert TRUSTED.client("10.0.0.1", sent + b", 9.9.9.9") == "9.9.9.9"


def test_a_long_header_is_read_from_its_right_end() -> None:
    assert TRUSTED.client("10.0.0.1", b"7.7.7.7," * 8000 + b"9.9.9.9, 10.0.0.2") == "9.9.9.9"
    assert TRUSTED.client("10.0.0.1", b"9.9.9.9," + b"10.0.0.3," * 8000 + b"10.0.0.2") == "10.0.0.3"


def test_unix_sockets_are_trusted_by_name() -> None:
    assert TrustedProxies("unix").client("", b"1.2.3.4") == "1.2.3.4"
    assert TrustedProxies("unix").client("127.0.0.1", b"1.2.3.4") == "127.0.0.1"


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33", "*"])
def test_what_is_no_network_is_refused(networks: str) -> None:
    with pytest.raises(StartError) as caught:
        TrustedProxies(f"127.0.0.1,{networks}")
    assert str(caught.value).startswith("--trusted-proxies (MLP_TRUSTED_PROXIES): ")
    assert networks in str(caught.value)
    assert str(caught.value).endswith("; expected networks such as 10.0.0.0/8, or unix, separated by commas")


def test_an_address_of_ipv4_looks_the_same_on_every_socket() -> None:
    assert [plain(address) for address in ("::ffff:1.2.3.4", "1.2.3.4", "::1")] == ["1.2.3.4", "1.2.3.4", "::1"]
