"""Hashes of rows, by their number or by a column, which decide what each row is for: always the same for a table."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.data.tables import columns

# Of SplitMix64: https://doi.org/10.1145/2660193.2660195 (Steele et al.)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_STEPS: Final = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))
# Of FNV-1a: https://datatracker.ietf.org/doc/rfc9923/
_FNV_BASIS: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(0x100000001B3)

Hashes = NDArray[np.uint64]


def of_numbers(numbers: NDArray[np.uint64]) -> Hashes:
    """SplitMix64 of ``numbers`` (rows,)."""
    mixed = (numbers + np.uint64(1)) * _GOLDEN
    for shift, factor in _STEPS:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    found: Hashes = mixed ^ (mixed >> np.uint64(31))
    return found


def of_rows(first: int, count: int) -> Hashes:
    """The hashes of ``count`` rows, of which the first has the number ``first``."""
    return of_numbers(np.arange(first, first + count, dtype=np.uint64))


def of_values(array: pa.ChunkedArray, otherwise: Hashes) -> Hashes:
    """The hashes of the values of ``array`` (rows,); where one is missing, those of ``otherwise`` (rows,).

    Texts count without blanks around them.
    """
    if not columns.is_numeric(array):
        array = array if columns.is_string(array) else array.cast(pa.string())
        bits = _of_texts(pc.utf8_trim_whitespace(array).fill_null("").combine_chunks())
    elif pa.types.is_integer(array.type):
        bits = array.cast(pa.int64(), safe=False).fill_null(0).to_numpy().view(np.uint64)
    else:
        bits = (columns.to_numbers(array) + 0.0).view(np.uint64)  # no negative zero
    return np.where(array.is_null().to_numpy(), otherwise, of_numbers(bits))


def shares(hashes: Hashes) -> NDArray[np.float64]:
    """Numbers from 0 to 1 as even as the ``hashes``."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _of_texts(texts: pa.StringArray) -> Hashes:
    """FNV-1a of the bytes of each text, a letter of all texts at a time."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    letters = np.frombuffer(data if data is not None and data.size else b"\0", np.uint8)
    starts, lengths = ends[:-1], np.diff(ends)
    found = np.full(len(texts), _FNV_BASIS)
    for place in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > place)
        found[rows] = (found[rows] ^ letters[starts[rows] + place]) * _FNV_PRIME
    return found
