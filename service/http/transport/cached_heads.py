"""Request lines and headers that were parsed before, found by their bytes.

Some headers differ from request to request. A head is cached without the lines of these, and a later one is found
without its own: between lines that were parsed once, another valid line changes nothing but its own header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from service.http.paths import RouteMatch

# The largest cached head, and how many are cached of all clients together.
_CACHED_BYTES: Final = 1024
_CACHED_HEADS: Final = 256
_OWN_VALUE_BYTES: Final = 512
_OWN_NAMES: Final = (b"x-request-id", b"traceparent", b"tracestate")
# A line of such a header, on which no folded line follows.
_OWN_LINE: Final = re.compile(
    rb"\r\n(%b): ?([!-~]{1,%d})(?=\r\n[^ \t])" % (b"|".join(_OWN_NAMES), _OWN_VALUE_BYTES), re.IGNORECASE
)
_SPLIT_BYTES: Final = _CACHED_BYTES + len(_OWN_NAMES) * (_OWN_VALUE_BYTES + 32)
# A cached head must say the same before any body of its length: these do not, or not again.
_UNCACHED: Final = frozenset({b"expect", b"transfer-encoding", *_OWN_NAMES})


class CachedHead(NamedTuple):
    """A parsed request line and headers, of a request with a body of ``body_bytes``."""

    target: RouteMatch
    headers: Mapping[bytes, bytes]
    body_bytes: int


HeadCache = dict[bytes, CachedHead]


def find(heads: HeadCache, head: bytes) -> CachedHead | None:
    """What is known of ``head``, with the headers of its own."""
    found = heads.get(head)
    if found is not None:
        return found
    key, own = _split(head)
    found = heads.get(key) if own else None
    return None if found is None else found._replace(headers={**found.headers, **own})


def keep(heads: HeadCache, head: bytes, parsed: CachedHead) -> None:
    """Cache what was ``parsed`` of ``head``, if it says nothing about this request alone."""
    key, own = _split(head)
    if len(key) > _CACHED_BYTES or any(parsed.headers.get(name) != value for name, value in own.items()):
        return
    shared = {name: value for name, value in parsed.headers.items() if name not in own}
    if _UNCACHED.isdisjoint(shared):
        if len(heads) >= _CACHED_HEADS:
            heads.clear()
        heads[key] = parsed._replace(headers=shared)


def _split(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """A head without the lines of its own, and their headers by lower-case name; as it is if one is repeated."""
    lines = _OWN_LINE.findall(head) if len(head) <= _SPLIT_BYTES else []
    own = {name.lower(): value for name, value in lines}
    if not own or len(own) != len(lines):
        return head, {}
    return _OWN_LINE.sub(b"", head), own
