"""Errors and notes about strings that may be misread: odd numbers, leading zeros, marks for missing values."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from service.cells import MARKS, THOUSANDS, Cells, number_of
from training.data.tables import columns

# These often mean a missing value; among strings they are kept, with a note.
_MAYBE_MISSING: Final = frozenset((*MARKS, "unknown", "Unknown", "UNKNOWN", "missing", "Missing", "N.A.", "n.a."))
_MAX_MARKS: Final = 5
# 19.118 may be nineteen or nineteen thousand if the numbers without a point are too small for a thousands separator.
_MAYBE_THOUSANDS: Final = r"[-+]?[1-9][0-9]{0,2}\.[0-9]{3}"
_BELOW_THOUSAND: Final = "[-+]?[0-9]{1,3}"
_QUOTED: Final = {"'": '"\'"', " ": "' '"}
_FORMATS: Final = tuple((decimal, mark) for mark in ("", *THOUSANDS) for decimal in ".," if decimal != mark)


def maybe_missing(array: pa.ChunkedArray) -> dict[str, int]:
    """Return strings that often mean a missing value, with their counts."""
    return columns.count(array.filter(pc.is_in(array, value_set=pa.array(sorted(_MAYBE_MISSING)))))


def format_counts(counts: Mapping[str, int]) -> str:
    """Format strings and their counts, such as ``'' 9, 'NA' 3``."""
    return ", ".join(f"{string!r:.60} {count:,}" for string, count in counts.items())


def ambiguous_points(name: str, known: pa.ChunkedArray) -> tuple[list[str], list[str]]:
    """Return an error or a note if a point may be a thousands separator: each one is followed by three digits."""
    both = f"{_MAYBE_THOUSANDS}|{_BELOW_THOUSAND}"
    if not (columns.all_match(known.slice(0, columns.FIRST_ROWS), both) and columns.all_match(known, both)):
        return [], []
    has_point = pc.match_substring(known, ".")
    with_point = known.filter(has_point)
    if not len(with_point):
        return [], []
    first = with_point[0].as_py()
    remedy = f"use --thousands . to read it as {first.replace('.', '')}"
    if len(with_point) == len(known) - known.null_count:
        note = f"column {name!r} has three digits after the point in each value, such as {first}, read as fractions"
        return [], [f"{note}; {remedy}"]
    plain = known.filter(pc.invert(has_point))[0].as_py()
    error = f"column {name!r} has {first} beside {plain}: the point may be a decimal mark or a thousands separator"
    return [f"{error}; {remedy}, or --decimal . to read it as a fraction"], []


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


def malformed_numbers(name: str, strings: pa.ChunkedArray, cells: Cells, remedy: str) -> list[str]:
    """Return an error if most of the strings look like numbers and some are none."""
    found = pc.value_counts(strings.drop_null())
    values, times = found.field("values"), found.field("counts")
    known = pc.invert(pc.is_in(values, value_set=pa.array(cells.missing_numbers, pa.string())))
    number_like = pc.and_(known, columns.look_numeric(values))
    if (pc.sum(times.filter(number_like)).as_py() or 0) * 2 <= (pc.sum(times.filter(known)).as_py() or 0):
        return []
    like, distinct = set(values.filter(number_like).to_pylist()), values.filter(known).to_pylist()
    malformed = [string for string in distinct if number_of(string, cells.decimal, cells.thousands) is None]
    if not malformed:
        return []
    row = pc.index(pc.is_in(strings, value_set=pa.array(malformed, pa.string())), True).as_py()
    first = strings[row].as_py()
    remedies = ["write it as a plain number such as 1200 or 3.14", "leave it empty"]
    others = [string for string in malformed if string not in like]
    if others and len(others) <= _MAX_MARKS:
        marks = values.filter(pc.invert(known)).to_pylist()
        remedies.append(f"treat it as missing with --missing {shlex.join([*marks, *others])}")
    if first in like:
        remedies += _format_remedies(first, [string for string in distinct if string not in others])
    return [
        f"column {name!r} has {first!r:.60} in row {row + 1} below the header, but most of its values look like "
        f"numbers; {', '.join(remedies)}, or treat the column as categories with {remedy}"
    ]


def _format_remedies(first: str, strings: Sequence[str]) -> list[str]:
    """Return the options under which all ``strings`` are numbers; for each value of ``first``, the simplest."""
    options: dict[float, str] = {}
    for decimal, thousands in _FORMATS:
        numbers = [number_of(string, decimal, thousands) for string in (first, *strings)]
        if numbers[0] is not None and None not in numbers:
            flags = [f"--decimal {decimal}"] if decimal != "." or not thousands else []
            flags += [f"--thousands {_QUOTED.get(thousands, thousands)}"] if thousands else []
            options.setdefault(numbers[0], " ".join(flags))
    return [f"use {flags} to read it as {number:.15g}" for number, flags in options.items()]
