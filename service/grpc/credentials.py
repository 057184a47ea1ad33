"""The API key of an RPC, which its metadata has as HTTP's headers do, and the address of its client."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from service.errors import RequestError
from service.grpc import statuses
from service.grpc.messages import SERVICE
from service.http.messages import by_name
from service.http.transport.proxies import FORWARDED_FOR, TrustedProxies, plain
from service.keys.access import AUTHORIZATION, KEY_HEADER, Access
from service.requests import RequestRecord

# What probes ask needs no key, and health checking neither.
_PUBLIC: Final = frozenset({f"/{SERVICE}/ServerLive", f"/{SERVICE}/ServerReady"})
_READ: Final = frozenset({AUTHORIZATION, KEY_HEADER, FORWARDED_FOR})

Context = Any  # grpc.aio.ServicerContext, which has no types


class Credentials:
    """Checks RPCs against ``access``; None lets all of them through."""

    def __init__(self, access: Access | None, proxies: TrustedProxies | None) -> None:
        self._access = access
        self._proxies = proxies

    def check(self, context: Context, record: RequestRecord) -> None:
        """Note whose RPC it is. Raises `Unauthenticated` or `RateLimited`."""
        if self._access is not None and record.route not in _PUBLIC:
            self._access.admit(_headers(context), record)

    def client(self, context: Context) -> str:
        """The address of the client; empty on a Unix socket."""
        peer = _peer(context.peer())
        return peer if self._proxies is None else self._proxies.client(peer, _headers(context).get(FORWARDED_FOR))

    async def require(self, context: Context) -> None:
        """Abort an RPC that has no valid key, before its messages are read."""
        try:
            self.check(context, RequestRecord("POST", "", "", 0.0))
        except RequestError as error:
            await statuses.abort(context, error)


def _headers(context: Context) -> dict[bytes, bytes]:
    """The metadata that counts here, by name; values of a repeated name are joined, as for HTTP."""
    found = [(name.encode(), value) for name, value in context.invocation_metadata() if name.encode() in _READ]
    return by_name([(name, value if isinstance(value, bytes) else value.encode("utf-8")) for name, value in found])


def _peer(address: str) -> str:
    """The address in what gRPC calls it, such as ``ipv4:127.0.0.1:80`` or ``ipv6:%5B::1%5D:80``."""
    kind, _, rest = unquote(address).partition(":")
    return plain(rest.rpartition(":")[0].strip("[]")) if kind in {"ipv4", "ipv6"} else ""
