"""A prediction's request and response as plain data, the same on the fast path and in ASGI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]


@dataclass(slots=True)
class Request:
    """What was received: ``headers`` by lower-case name, ``query`` and ``body`` as they were sent.

    ``counted`` says that the body's bytes stay in the body budget until the request is answered.
    """

    model: str | None
    version: str | None
    query: str | None
    headers: Mapping[bytes, bytes]
    body: bytes
    counted: bool = False


@dataclass(slots=True)
class Response:
    """What is sent; the transport adds content-length and x-request-id."""

    status: int
    headers: Headers
    body: bytes


# Browsers must not guess another type than the one that is sent.
NOSNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")
JSON_HEADERS: Final[Headers] = ((b"content-type", b"application/json"),)


def by_name(headers: Sequence[Header]) -> dict[bytes, bytes]:
    """Headers by name. Values of a repeated header are joined by commas, so that none of them goes unnoticed."""
    found = dict(headers)
    if len(found) != len(headers):
        values: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            values.setdefault(name, []).append(value)
        found = {name: b", ".join(each) for name, each in values.items()}
    return found
