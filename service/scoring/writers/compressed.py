"""Compression of a text file in parts, which the formats allow to follow each other."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

import pyarrow as pa

_GZIP_LEVEL: Final = 6


def _zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".gz": lambda content: gzip.compress(content, _GZIP_LEVEL, mtime=0),
    ".zst": _zstd,
}
