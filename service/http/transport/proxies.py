"""The client's address, which proxies in front of the server tell, if they are trusted.

Everybody can send x-forwarded-for, and each proxy adds the address it got a request from at the right. So the addresses
are read from the right, as long as the one that told the next is a trusted proxy.
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from service.errors import StartError

FORWARDED_FOR: Final = b"x-forwarded-for"
_UNIX: Final = "unix"
_MAX_PROXIES: Final = 16
_MAX_HEADER_BYTES: Final = 1024  # its right end
_CACHED: Final = 256


class TrustedProxies:
    """The proxies whose x-forwarded-for counts: networks such as ``10.0.0.0/8``, separated by commas.

    ``unix`` trusts whoever connects to a Unix socket. Raises `StartError` for what is no network.
    """

    def __init__(self, networks: str) -> None:
        names = [name for each in networks.split(",") if (name := each.strip())]
        self._trusts_unix = _UNIX in names
        try:
            self._networks = tuple(ip_network(name) for name in names if name != _UNIX)
        except ValueError as error:
            raise StartError(
                f"--trusted-proxies (MLP_TRUSTED_PROXIES): {error}; expected networks such as 10.0.0.0/8, or unix, "
                "separated by commas"
            ) from error
        self._cached = lru_cache(maxsize=_CACHED)(self._find)

    def client(self, peer: str, forwarded_for: bytes | None) -> str:
        """The client of a request from ``peer``, the address of the connection, empty for a Unix socket.

        ``forwarded_for`` has the header's values, joined by commas.
        """
        return peer if forwarded_for is None else self._cached(peer, forwarded_for[-_MAX_HEADER_BYTES:])

    def _find(self, peer: str, forwarded_for: bytes) -> str:
        if not self._trusts(peer):
            return peer
        found = peer
        for each in reversed(forwarded_for.decode("latin-1").split(",")[-_MAX_PROXIES:]):
            address = _address(each.strip())
            if address is None:  # what is left of it could come from anybody
                break
            found = str(address)
            if not self._trusts(found):
                break
        return found

    def _trusts(self, peer: str) -> bool:
        address = _address(peer)
        if address is None:
            return self._trusts_unix and not peer
        return any(address in network for network in self._networks)


def plain(address: str) -> str:
    """An IPv4 address that a socket for both versions shows as an IPv6 address, as itself."""
    return address.removeprefix("::ffff:") if "." in address else address


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in ``1.2.3.4``, ``1.2.3.4:80``, ``::1`` or ``[::1]:80``."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(plain(text))
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id else address
