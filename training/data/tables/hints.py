"""Notes about strings that may be misread: points, leading zeros, marks for missing values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from service.cells import MARKS
from training.data.tables import columns

# These often mean a missing value; among strings they are kept, with a note.
_MAYBE_MISSING: Final = frozenset(MARKS)


def maybe_missing(array: pa.ChunkedArray) -> dict[str, int]:
    """Return strings that often mean a missing value, with their counts."""
    return columns.count(array.filter(pc.is_in(array, value_set=pa.array(sorted(_MAYBE_MISSING)))))


def format_counts(counts: Mapping[str, int]) -> str:
    """Format strings and their counts, such as ``empty 9, 'NA' 3``."""
    return ", ".join(f"{f'{string!r:.60}' if string else 'empty'} {count:,}" for string, count in counts.items())


def ambiguous_point(name: str, known: pa.ChunkedArray) -> str:
    """Return a note that a point, read as the decimal mark, may be a thousands separator."""
    first = _first_with_point(known)
    return (
        f"column {name!r} has three digits after each point, such as {first}, read as fractions; use --thousands . to "
        f"read it as {first.replace('.', '')}"
    )


def points_as_thousands(name: str, known: pa.ChunkedArray) -> str:
    """Return a note that a point is read as a thousands separator, as other columns have a decimal comma."""
    first = _first_with_point(known)
    return (
        f"column {name!r} has numbers such as {first}, read as {first.replace('.', '')}, because other columns have a "
        "decimal comma; use --decimal . to read it as a fraction"
    )


def are_codes(known: pa.ChunkedArray) -> bool:
    """Return whether all strings are digits of one length, or all begin with a zero, and some of them do: 02134."""
    if not columns.all_match(known.slice(0, columns.FIRST_ROWS), "[0-9]+"):
        return False
    if first_leading_zero(known) is None or not columns.all_match(known, "[0-9]+"):
        return False
    lengths = pc.min_max(pc.binary_length(known))
    zeros = pc.all(pc.starts_with(known, "0"), min_count=0).as_py()
    return bool(lengths["min"].as_py() == lengths["max"].as_py() or (zeros and lengths["min"].as_py() > 1))


def codes(name: str, known: pa.ChunkedArray, numeric: str) -> str:
    """Return a note that digits with leading zeros are categories. ``numeric`` are the columns for ``--numeric``."""
    return (
        f"column {name!r} has digits with leading zeros, such as {first_leading_zero(known)}, as codes have; it is "
        f"treated as categories, use --numeric {numeric} to read them as numbers"
    )


def _first_with_point(known: pa.ChunkedArray) -> str:
    first: str = known.filter(pc.match_substring(known, "."))[0].as_py()
    return first


def leading_zeros(name: str, known: pa.ChunkedArray, remedy: str) -> list[str]:
    """Return a note if numbers have leading zeros."""
    first = first_leading_zero(known)
    if first is None:
        return []
    return [
        f"column {name!r} has numbers with a leading zero, such as {first}, as codes have; they are read as numbers "
        f"unless you use {remedy}"
    ]


def first_leading_zero(known: pa.ChunkedArray) -> str | None:
    """Return the first integer with a leading zero, if there is one."""
    zeros = known.filter(pc.starts_with(known, "0"))
    codes = zeros.filter(pc.match_substring_regex(zeros, "^0[0-9]+$"))
    first: str | None = codes[0].as_py() if len(codes) else None
    return first
