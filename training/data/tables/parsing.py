"""Parse a column of strings: numbers, booleans or strings, and which of them are missing values.

The rules are those by which the server reads a client's cells; here Arrow applies them to whole columns.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from service.cells import BLANKS, BOOLEANS, MARKS, SPREADSHEET_ERRORS, Cells
from service.dates import DateFormat
from training.data.tables import columns, hints, numbers
from training.data.tables.numbers import Rules

# Missing in columns of strings, too. The others of `MARKS` may be words or grades: none, unknown, -.
_TEXT_MARKS: Final = (
    *("NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NULL", "null", "<null>", "?"),
    *SPREADSHEET_ERRORS,
)


@dataclass(frozen=True, slots=True)
class ParsedColumn:
    """A column's values in their type, null where missing.

    ``missing`` counts the strings that were read as missing. ``errors`` say why the column cannot be used, ``notes``
    what may have been misread; ``maybe_values`` is the note that they may be dates or numbers all the same. ``cells``
    are the rules by which the column is read, None for the table's; ``ambiguous`` says that its decimal mark could be
    another one. With a format of ``dates`` the values are days since 1970-01-01, float64.
    """

    array: pa.ChunkedArray
    missing: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()
    cells: Cells | None = None
    ambiguous: bool = False
    dates: DateFormat | None = None
    maybe_values: str = ""


def as_strings(array: pa.ChunkedArray, cells: Cells) -> ParsedColumn:
    """Keep strings, without blanks around them, for categories or labels."""
    stripped = pc.utf8_trim(array, characters=BLANKS)
    missing = pc.is_in(stripped, value_set=pa.array(["", *cells.missing_texts]))
    return ParsedColumn(pc.if_else(missing, None, stripped), columns.count(stripped.filter(missing)))


def as_texts(array: pa.ChunkedArray, cells: Cells) -> ParsedColumn:
    """Keep strings of a file without types, as `as_strings` does, but for marks such as NA, which are missing.

    They are strings if the user chose what is missing, and NA is one among codes of two capital letters: Namibia.
    """
    kept = as_strings(array, cells)
    if cells.missing_numbers != MARKS:
        return kept
    distinct = pc.unique(kept.array).drop_null()
    is_mark = pc.is_in(distinct, value_set=pa.array(_TEXT_MARKS))
    marks, others = distinct.filter(is_mark), pc.unique(distinct.filter(pc.invert(is_mark)))
    if len(others) and pc.all(pc.match_substring_regex(others, "^[A-Z]{2}$")).as_py():
        marks = marks.filter(pc.not_equal(marks, "NA"))
    if not len(marks):
        return kept
    own = replace(cells, missing_texts=tuple(sorted(marks.to_pylist())))
    return replace(as_strings(array, own), cells=own)


def infer(name: str, array: pa.ChunkedArray, rules: Rules, remedy: str) -> ParsedColumn:
    """Parse column ``name`` as booleans or numbers if its strings are such, else keep the strings.

    ``remedy`` is the option that keeps the strings.
    """
    stripped = pc.utf8_trim(array, characters=BLANKS)
    cells = rules.cells
    known = _without(stripped, ("", *cells.missing_numbers))
    values = _booleans(known)
    if values is not None:
        return ParsedColumn(values, columns.count(stripped.filter(values.is_null())))
    if rules.strict:
        known = pc.if_else(numbers.readable(known, cells), known, None) if name in rules.numeric else known
        values = numbers.to_numbers(known, cells)
        return (
            as_texts(array, cells) if values is None else _numeric(stripped, values, cells, rules, (), ambiguous=False)
        )
    if name not in rules.numeric and hints.are_codes(known):
        note = hints.codes(name, known, shlex.join([*rules.numeric, name]))
        return replace(as_texts(array, cells), notes=[note])
    values = numbers.to_numbers(known, cells)
    if values is None:
        return _written_as_people_do(name, stripped, known, rules, remedy, as_texts)
    notes: list[str] = []
    own, ambiguous = cells, not rules.fixed and numbers.is_ambiguous(known)
    if ambiguous and rules.points:
        own = replace(cells, decimal=",", thousands=".")
        values = numbers.to_numbers(known, own)
        notes = [hints.points_as_thousands(name, known)]
    elif ambiguous:
        notes = [hints.ambiguous_point(name, known)]
    notes += hints.leading_zeros(name, known, remedy)
    return _numeric(stripped, values, own, rules, notes, ambiguous=ambiguous)


def typed_strings(name: str, array: pa.ChunkedArray, rules: Rules, remedy: str) -> ParsedColumn:
    """Keep strings of a file that has types, unless they are numbers with signs or separators, as in $1,200.

    A note says so if they look like plain numbers.
    """
    stripped = pc.utf8_trim(array, characters=BLANKS)
    known = _without(stripped, ("", *rules.cells.missing_numbers))
    if known.null_count == len(known):
        return as_strings(array, rules.cells)
    if numbers.to_numbers(known, rules.cells) is None:
        return _written_as_people_do(name, stripped, known, rules, remedy, as_strings)
    note = (
        f"column {name!r} has strings that look like numbers; they are treated as categories, use --numeric "
        f"{shlex.join([*rules.numeric, name])} to read them as numbers"
    )
    return replace(as_strings(array, rules.cells), notes=[note])


def _written_as_people_do(
    name: str,
    stripped: pa.ChunkedArray,
    known: pa.ChunkedArray,
    rules: Rules,
    remedy: str,
    kept: Callable[[pa.ChunkedArray, Cells], ParsedColumn],
) -> ParsedColumn:
    """Read numbers with signs or separators, or keep the strings as ``kept`` does."""
    style = numbers.find_style(name, known, rules, remedy)
    if style.cells is None:
        errors = [style.error] if style.error else []
        notes = [*style.notes, *([style.maybe_numbers] if style.maybe_numbers else [])]
        return replace(kept(stripped, rules.cells), errors=errors, notes=notes, maybe_values=style.maybe_numbers)
    known = _without(known, style.cells.missing_numbers)
    if name in rules.numeric:
        known = pc.if_else(numbers.readable(known, style.cells), known, None)
    values = numbers.to_numbers(known, style.cells)
    return _numeric(stripped, values, style.cells, rules, list(style.notes), ambiguous=style.ambiguous)


def _numeric(
    stripped: pa.ChunkedArray,
    values: pa.ChunkedArray,
    own: Cells,
    rules: Rules,
    notes: Sequence[str],
    *,
    ambiguous: bool,
) -> ParsedColumn:
    values = columns.to_integers(without_sentinels(values, own))
    missing = columns.count(stripped.filter(values.is_null()))
    return ParsedColumn(values, missing, (), notes, None if own == rules.cells else own, ambiguous)


def _without(strings: pa.ChunkedArray, marks: Sequence[str]) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(strings, value_set=pa.array(marks, pa.string())), None, strings)


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


def _booleans(known: pa.ChunkedArray) -> pa.ChunkedArray | None:
    words = pa.array(BOOLEANS)
    for part in (known.slice(0, columns.FIRST_ROWS), known):
        if not pc.all(pc.if_else(part.is_null(), None, pc.is_in(part, value_set=words))).as_py():
            return None
    if not pc.any(pc.is_in(known, value_set=pa.array([word for word in BOOLEANS if not word.isdigit()]))).as_py():
        return None  # 0 and 1 alone are numbers
    true_words = pa.array([word for word in BOOLEANS if BOOLEANS[word]])
    return pc.if_else(known.is_null(), None, pc.is_in(known, value_set=true_words))
