"""A prediction's request and its answer as plain data, the same behind both doors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Request:
    """What a door read: ``headers`` by lower-case name, ``query`` and ``body`` as they came.

    ``counted`` says that the door counts the body's bytes till the request is answered.
    """

    model: str | None
    version: str | None
    query: str | None
    headers: Mapping[bytes, bytes]
    body: bytes
    counted: bool = False


def by_name(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name: the values of one that is sent several times are one list, in which nothing sensible hides."""
    found = dict(headers)
    if len(found) != len(headers):
        values: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            values.setdefault(name, []).append(value)
        found = {name: b", ".join(each) for name, each in values.items()}
    return found


@dataclass(slots=True)
class Response:
    """What a door writes; it adds content-length and x-request-id."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


JSON_HEADERS = ((b"content-type", b"application/json"),)
NPY_HEADERS = ((b"content-type", b"application/x-npy"),)
