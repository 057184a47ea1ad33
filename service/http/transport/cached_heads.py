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
# A line of such a header, on which no folded line follows: two groups, its name and value.
_OWN_LINE: Final = re.compile(
    rb"\r\n((?i:%b)): ?([!-~]{1,%d})(?=\r\n[^ \t])" % (b"|".join(_OWN_NAMES), _OWN_VALUE_BYTES)
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
    return None if found is None else CachedHead(found.target, {**found.headers, **own}, found.body_bytes)


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
    if len(head) > _SPLIT_BYTES:
        return head, {}
    parts = _OWN_LINE.split(head)
    names, values = parts[1::3], parts[2::3]
    own = dict(zip(map(bytes.lower, names), values, strict=True))
    return (b"".join(parts[::3]), own) if len(own) == len(names) else (head, {})
