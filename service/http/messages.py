"""A prediction's request and its answer as plain data, the same behind both doors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Request:
    """What a door read: ``headers`` by lower-case name, ``query`` and ``body`` as they came."""

    model: str | None
    version: str | None
    query: str | None
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class Response:
    """What a door writes; it adds content-length and x-request-id."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


JSON_HEADERS = ((b"content-type", b"application/json"),)
NPY_HEADERS = ((b"content-type", b"application/x-npy"),)
