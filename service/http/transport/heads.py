"""What a request line and headers must say: one request, of one length, for this server.

Ambiguous heads are rejected, not repaired: a proxy before this server could read them differently, which is how
requests are smuggled. https://www.rfc-editor.org/rfc/rfc9112#section-11.2
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import httptools

from service.errors import MalformedRequest
from service.http.messages import Header

# The headers that `read_framing` reads.
FRAMING_HEADERS: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})

_VERSIONS: Final = ("1.1", "1.0")
# https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2, and a port
_HOST: Final = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]*|\[[\w.:]+\])(?::\d*)?", re.ASCII)


def read_framing(
    method: bytes, version: str, headers: Iterable[Header], known_host: bytes | None
) -> tuple[bytes | None, int, bool]:
    """Return the host, the declared bytes of the body, and whether the client waits for 100 Continue.

    ``headers`` are those that are `FRAMING_HEADERS`; ``known_host`` is known to be valid. Raises `MalformedRequest` if
    the head is ambiguous, or not for this server.
    """
    if version not in _VERSIONS:
        raise MalformedRequest(f"the request line says HTTP/{version}, expected HTTP/1.1 or HTTP/1.0")
    if method == b"CONNECT":
        raise MalformedRequest("CONNECT asks for a tunnel, and this server is no proxy; send the request itself")
    hosts, codings, declared_bytes, expects_continue = [], [], 0, False
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            declared_bytes = int(value)  # the parser has checked it
        elif name == b"transfer-encoding":
            codings.append(value.lower())
        else:
            expects_continue = version == "1.1" and value.lower() == b"100-continue"
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise MalformedRequest(f"the request has {len(hosts)} host headers, expected one")
    host = hosts[0] if hosts else None
    if host is not None and host != known_host and _HOST.fullmatch(host) is None:
        raise MalformedRequest(f"host is {_shown(host)}, expected a name or an address, and optionally a port")
    if codings and (version == "1.0" or codings != [b"chunked"]):
        shown = _shown(b", ".join(codings))
        raise MalformedRequest(f"transfer-encoding is {shown}, expected chunked, in HTTP/1.1, or none")
    return host, declared_bytes, expects_continue


def with_path(target: bytes, method: bytes) -> bytes:
    """Return the request target in a form that has a path. Raises `MalformedRequest` if it has none."""
    try:
        parsed = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        parsed = None
    if parsed is None or (target == b"*" and method != b"OPTIONS"):
        raise MalformedRequest(f"the request target is {_shown(target)}, expected a path, as in GET /models")
    if parsed.path is None:  # as in http://host
        return b"/" + (b"" if parsed.query is None else b"?" + parsed.query)
    return target


def without_upgrade(method: bytes, target: bytes, version: str, headers: Iterable[Header]) -> bytes:
    """Return the head as bytes without its Upgrade headers, which a server may ignore.

    https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    """
    line = b"%b %b HTTP/%b\r\n" % (method, target, version.encode())
    return line + b"".join([b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]) + b"\r\n"


def _shown(sent: bytes) -> str:
    return repr(sent[:60].decode("latin-1"))
