"""Parse a column of strings: numbers, booleans or strings, and which of them are missing values.

The rules are those by which the server reads a client's cells; here Arrow applies them to whole columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from service.cells import BLANKS, BOOLEANS, NUMBER_MAX_LETTERS, Cells, number_pattern
from service.dates import DateFormat
from training.data.tables import columns, hints

_SPACES: Final = "[ \xa0\u2009\u202f]"


@dataclass(frozen=True, slots=True)
class Dates:
    """The ``format`` of a column of dates or times, and whether its dates have a time of day."""

    format: DateFormat
    has_time: bool


@dataclass(frozen=True, slots=True)
class ParsedColumn:
    """A column's values in their type, null where missing.

    ``missing`` counts the strings that were read as missing. ``errors`` say why the column cannot be used, ``notes``
    what may have been misread; ``maybe_dates`` is the note that they may be dates all the same. With ``dates`` the
    values are days since 1970-01-01, float64.
    """

    array: pa.ChunkedArray
    missing: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()
    dates: Dates | None = None
    maybe_dates: str = ""


def as_strings(array: pa.ChunkedArray, cells: Cells) -> ParsedColumn:
    """Keep strings, without blanks around them, for categories or labels."""
    stripped = pc.utf8_trim(array, characters=BLANKS)
    missing = pc.is_in(stripped, value_set=pa.array(["", *cells.missing_texts]))
    return ParsedColumn(pc.if_else(missing, None, stripped), columns.count(stripped.filter(missing)))


def infer(name: str, array: pa.ChunkedArray, cells: Cells, remedy: str, *, decimal_known: bool) -> ParsedColumn:
    """Parse column ``name`` as booleans or numbers if all strings that are not missing are such, else as strings.

    Unless the decimal mark is known, a point that may separate thousands, as in 19.118 beside 999, is an error.
    ``remedy`` is the option that keeps the strings.
    """
    stripped = pc.utf8_trim(array, characters=BLANKS)
    known = pc.if_else(pc.is_in(stripped, value_set=pa.array(["", *cells.missing_numbers])), None, stripped)
    errors: list[str] = []
    notes: list[str] = []
    values = _booleans(known)
    if values is None:
        values = _numbers(known, cells)
        if values is None:
            return _strings(name, array, cells, remedy)
        if not decimal_known:
            errors, notes = hints.ambiguous_points(name, known)
        notes += hints.leading_zeros(name, known, remedy)
        values = columns.to_integers(without_sentinels(values, cells))
    return ParsedColumn(values, columns.count(stripped.filter(values.is_null())), errors, notes)


def typed_strings(name: str, array: pa.ChunkedArray, cells: Cells, remedy: str) -> ParsedColumn:
    """Keep strings of a file that has types; add a note if they look like numbers."""
    strings = _strings(name, array, cells, remedy)
    missing = pc.is_in(strings.array, value_set=pa.array(cells.missing_numbers, pa.string()))
    known = strings.array.filter(pc.invert(missing)).drop_null()
    if not len(known) or _numbers(known, cells) is None:
        return strings
    note = f"column {name!r} has strings that look like numbers; they are treated as categories"
    return ParsedColumn(strings.array, strings.missing, strings.errors, [note])


def without_sentinels(values: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Replace numbers that stand for a missing value, such as -999, by null."""
    if not cells.sentinels:
        return values
    numbers = values if pa.types.is_floating(values.type) else values.cast(pa.float64(), safe=False)
    sentinels = pa.array(sorted(cells.sentinels), pa.float64()).cast(numbers.type, safe=False)
    return pc.if_else(pc.is_in(numbers, value_set=sentinels), None, values)


def keep_strings(parsed: ParsedColumn, strings: ParsedColumn, *, classification: bool) -> bool:
    """Return whether the labels of a target are its ``strings`` rather than the ``parsed`` values.

    If ``classification`` was requested, the strings are kept unless they are integers or booleans without leading zeros
    and with the same missing rows. Otherwise they are kept if they are integers with leading zeros, as codes have, with
    few enough distinct values for classes.
    """
    if columns.is_string(parsed.array):
        return classification
    exact = pa.types.is_boolean(parsed.array.type) or columns.is_integral(parsed.array)
    codes = hints.first_leading_zero(strings.array.drop_null()) is not None
    if classification:
        return not exact or codes or parsed.array.null_count != strings.array.null_count
    return exact and codes and pc.count_distinct(strings.array).as_py() <= len(strings.array) // 3


def _strings(name: str, array: pa.ChunkedArray, cells: Cells, remedy: str) -> ParsedColumn:
    strings = as_strings(array, cells)
    return ParsedColumn(strings.array, strings.missing, hints.malformed_numbers(name, strings.array, cells, remedy))


def _booleans(known: pa.ChunkedArray) -> pa.ChunkedArray | None:
    words = pa.array(BOOLEANS)
    for part in (known.slice(0, columns.FIRST_ROWS), known):
        if not pc.all(pc.if_else(part.is_null(), None, pc.is_in(part, value_set=words))).as_py():
            return None
    if not pc.any(pc.is_in(known, value_set=pa.array([word for word in BOOLEANS if not word.isdigit()]))).as_py():
        return None  # 0 and 1 alone are numbers
    true_words = pa.array([word for word in BOOLEANS if BOOLEANS[word]])
    return pc.if_else(known.is_null(), None, pc.is_in(known, value_set=true_words))


def _numbers(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray | None:
    """Return the strings as float64, null where they are null; None unless all are numbers."""
    pattern = number_pattern(cells.decimal, cells.thousands)
    if not columns.all_match(known.slice(0, columns.FIRST_ROWS), pattern):
        return None
    if (pc.max(pc.binary_length(known)).as_py() or 0) > NUMBER_MAX_LETTERS:
        return None
    if (cells.decimal, cells.thousands) != (".", ""):
        if not columns.all_match(known, pattern):
            return None
        if cells.thousands == " ":
            known = pc.replace_substring_regex(known, _SPACES, "")
        elif cells.thousands:
            known = pc.replace_substring(known, cells.thousands, "")
        known = pc.replace_substring(known, cells.decimal, ".")
    try:
        values = known.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.is_nan(values)).as_py() else values  # Arrow parses nan, in any case, as a number
