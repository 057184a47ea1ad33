"""Reads a worker's file of metrics, and parses its series only if they are not the same as before."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

# As prometheus_client.mmap_dict describes it: the bytes in use, then for each series the length of its key, the key,
# padding to 8 bytes, the value, and a time.
_INTEGER: Final = struct.Struct("i")
_WORD_BYTES: Final = 8


class FileSeries(NamedTuple):
    """The ``keys`` of a file's series, the ``places`` (series,) of their values in 8-byte words, and all other bytes.

    ``rest`` has zeros instead of values.
    """

    keys: Sequence[str]
    places: NDArray[np.intp]
    rest: bytes


def read(path: Path, known: FileSeries | None) -> tuple[FileSeries, NDArray[np.float64]]:
    """A file's series, which are ``known`` if they are still the same, and their values."""
    words = _words(path)
    if known is None or len(known.rest) != words.nbytes or _without(words, known.places) != known.rest:
        known = _parse(words)
    return known, words[known.places]


def _words(path: Path) -> NDArray[np.float64]:
    """The part of the file that is in use."""
    with path.open("rb", buffering=0) as opened:
        content = opened.read(mmap.PAGESIZE)
        (used,) = _INTEGER.unpack_from(content)
        if used > len(content):
            content += opened.read(used - len(content))
    return np.frombuffer(content[:used], np.float64)


def _without(words: NDArray[np.float64], places: NDArray[np.intp]) -> bytes:
    """The words with zeros instead of values and times."""
    rest = words.copy()
    rest[places] = rest[places + 1] = 0.0
    return rest.tobytes()


def _parse(words: NDArray[np.float64]) -> FileSeries:
    content, keys, places = words.tobytes(), [], []
    at = _WORD_BYTES
    while at < len(content):
        (size,) = _INTEGER.unpack_from(content, at)
        first = at + _INTEGER.size
        keys.append(content[first : first + size].decode())
        value_at = (first + size) // _WORD_BYTES + 1  # there is always a byte of padding
        places.append(value_at)
        at = (value_at + 2) * _WORD_BYTES
    found = np.array(places, np.intp)
    return FileSeries(keys, found, _without(words, found))
