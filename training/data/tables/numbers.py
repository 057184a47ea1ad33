"""How the numbers of one column are written: decimal mark, thousands separator, currency or unit.

A column is numeric if most of its cells look like numbers and one style reads all of those. The few others are missing
values, such as "refused", unless the column has so few different values that it is one of categories.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.cells import MINUS, MULTIPLES, NEGATIVE, NO_CENTS, NUMBER_MAX_LETTERS, THOUSANDS, Cells, separators
from training.data.tables import columns, units
from training.data.tables.units import Choice

# The first that fits is taken where several do: 1,234 is more often a thousand than 1.234.
_MARKS: Final = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_FEW_VALUES: Final = 30  # different ones in a column of categories such as 1, 2, 3+
_MAX_OTHERS: Final = 20  # different strings that are read as missing; all are in the manifest
_MAX_OTHERS_SHARE: Final = 0.05
_MAX_LISTED: Final = 5
# 136A or c168 among integers; not 1O5, 12k or 30m, which are typos and units.
_CODE: Final = "^(?:[0-9]+[A-HJLNP-Z]|[A-HJ-NP-Za-km-np-z][0-9]+)$"
_TRAILING_MINUS: Final = "^[0-9]+-$"
_ENGLISH: Final = "(?:^|[^R])[$]|£|USD|GBP"  # written with a decimal point, unlike R$


@dataclass(frozen=True, slots=True)
class Rules:
    """How to read the columns of a table.

    ``cells`` are the table's own rules. ``fixed`` says that the user chose its marks. ``comma`` says that a comma is
    rather the decimal mark, as in files with semicolons, and ``points`` that a point rather separates thousands, as
    other columns have a decimal comma. ``numeric`` are columns to be read as numbers whatever else they hold. If
    ``strict``, the rules are those of a column that was read before, and no others are looked for.
    """

    cells: Cells
    fixed: bool = False
    comma: bool = False
    points: bool = False
    numeric: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """The rules that read a column as numbers; None if it is one of strings.

    ``ambiguous`` says that the marks could be read otherwise. ``error`` says why the column cannot be used, and
    ``maybe_numbers`` that strings may be numbers all the same.
    """

    cells: Cells | None
    notes: tuple[str, ...] = ()
    ambiguous: bool = False
    error: str = ""
    maybe_numbers: str = ""


_STRINGS: Final = Style(None)


def to_numbers(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray | None:
    """Return the strings as float64, null where they are null; None unless all are numbers."""
    if not columns.all_match(known.slice(0, columns.FIRST_ROWS), cells.pattern):
        return None
    if (pc.max(pc.binary_length(known)).as_py() or 0) > NUMBER_MAX_LETTERS:
        return None
    if (cells.decimal, cells.thousands, cells.symbols) != (".", "", False):
        if not columns.all_match(known, cells.pattern):
            return None
        known = _plain(known, cells)
    try:
        values = known.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.is_nan(values)).as_py() else values  # Arrow parses nan, in any case, as a number


def readable(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Return for each string whether it is a number by the rules ``cells``."""
    fits = pc.less_equal(pc.binary_length(known), NUMBER_MAX_LETTERS)
    return pc.and_(fits, pc.match_substring_regex(known, f"^(?:{cells.pattern})$"))


def find_style(name: str, known: pa.ChunkedArray, rules: Rules, remedy: str) -> Style:
    """Return how the ``known`` strings of a column that are no plain numbers are to be read.

    ``remedy`` is the option that keeps the strings.
    """
    forced = name in rules.numeric
    if not forced and _share_numeric(known.slice(0, columns.FIRST_ROWS)) <= 0.5:
        return _STRINGS
    found = pc.value_counts(known.drop_null())
    values, times = found.field("values"), found.field("counts").to_numpy()
    few = len(values) <= _FEW_VALUES and bool(times.mean() >= 2)
    choice = units.choose(values, times, few=few, forced=forced)
    like = choice.numeric
    if not like.any() or (not forced and times[like].sum() * 2 <= times.sum()):
        return _STRINGS
    if choice.several:
        return Style(None, maybe_numbers=_in_several_units(name, choice.several, rules, "the most frequent one"))
    column = _Column(name, known, values, times, few, rules, remedy)
    numerals = column.those(like)
    fits = _fitting(numerals, rules, choice)
    if not fits:
        like = pc.is_in(values, value_set=_most_readable(numerals, rules, choice)).to_numpy(zero_copy_only=False)
        if times[like].sum() < (1 - _MAX_OTHERS_SHARE) * times[choice.numeric].sum():
            return Style(None, error=_conflict(column, numerals, choice))
        choice, numerals = replace(choice, numeric=like), column.those(like)
        fits = _fitting(numerals, rules, choice)
    return _without_others(column, choice, _choose(name, numerals, fits, rules))


@dataclass(frozen=True, slots=True)
class _Column:
    """The ``known`` strings of a column, and their different ``values``, each of which occurs some ``times``.

    They are ``few`` if they may rather be categories. ``remedy`` is the option that keeps the strings.
    """

    name: str
    known: pa.ChunkedArray
    values: pa.Array
    times: NDArray[np.int64]
    few: bool
    rules: Rules
    remedy: str

    def those(self, chosen: NDArray[np.bool_]) -> pa.ChunkedArray:
        """Return the ``chosen`` ones (values,) of the values."""
        return pa.chunked_array([self.values.filter(pa.array(chosen))])

    def first(self, chosen: NDArray[np.bool_]) -> str:
        """Return the first of the ``chosen`` ones (values,) of the values."""
        found: str = self.values[int(np.argmax(chosen))].as_py()
        return found


def _without_others(column: _Column, choice: Choice, style: Style) -> Style:
    """Return the ``style`` that reads the numbers of ``choice``, with the other strings as missing, or categories."""
    name, times, like, rules = column.name, column.times, choice.numeric, column.rules
    assert style.cells is not None  # noqa: S101 - that of numbers
    numerals = column.those(like)
    odd = np.zeros(len(like), np.bool_)
    if name not in rules.numeric:
        if choice.may_misfit:
            odd[like] = choice.misfits(_numbers(numerals, style.cells))
        if odd.any() and (choice.is_share or times[odd].sum() > _MAX_OTHERS_SHARE * times[like].sum()):
            examples = column.first(like & ~choice.bare), column.first(odd)
            return Style(None, maybe_numbers=_in_several_units(name, examples, rules, "all as if they were in one"))
        trailing = like & _matches(column.values, _TRAILING_MINUS)
        if column.few or (trailing == like).all():  # grades, such as 2-, and ranges without an end, such as 65-
            odd |= trailing
    others = ~like | odd
    if not others.any():
        return style
    counts = dict(zip(column.those(others).to_pylist(), times[others].tolist(), strict=True))
    if name not in rules.numeric and (
        column.few or odd.all() or _are_codes(numerals, counts) or _are_many(counts, times)
    ):
        return Style(None, (_categories_note(name, counts, len(like), rules),))
    notes = style.notes
    if len(counts) > _MAX_OTHERS:
        notes += (f"column {name!r} has {len(counts):,} different strings among its numbers; clients may send 20",)
    note = f"column {name!r} has {_listed(counts)} among its numbers, read as missing; use {column.remedy} to keep them"
    marks = (*style.cells.missing_numbers, *sorted(counts)[:_MAX_OTHERS])
    return replace(style, cells=replace(style.cells, missing_numbers=marks), notes=(*notes, note))


def is_ambiguous(known: pa.ChunkedArray) -> bool:
    """Return whether the points of plain numbers may separate thousands: 19.118 beside 999, but no 0.126 or 1.25."""
    both = r"[-+]?[1-9][0-9]{0,2}\.[0-9]{3}|[-+]?[0-9]{1,3}"
    if not (columns.all_match(known.slice(0, columns.FIRST_ROWS), both) and columns.all_match(known, both)):
        return False
    return bool(pc.any(pc.match_substring(known, ".")).as_py())


def _plain(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Return numbers by the rules ``cells`` as Arrow parses them."""
    if not cells.symbols:
        return _with_point(known, cells)
    parts = pc.extract_regex(known, cells.parts)
    digits, exponent = (pc.struct_field(parts, name) for name in ("digits", "exponent"))
    sign: pa.ChunkedArray | None = None
    if _any(known, f"[{NO_CENTS}({MINUS}]"):
        digits = pc.utf8_rtrim(digits, characters=NO_CENTS)
        around = (pc.struct_field(parts, name) for name in ("head", "tail"))
        sign = pc.if_else(pc.or_(*(pc.match_substring_regex(each, NEGATIVE) for each in around)), "-", "")
    if cells.multiples:
        places = pc.index_in(pc.struct_field(parts, "multiple"), value_set=pa.array(MULTIPLES))
        powers = pa.array([f"e{power}" for power in MULTIPLES.values()])
        exponent = pc.if_else(places.is_valid(), pc.take(powers, places), exponent)
    digits = _with_point(digits, cells)
    if sign is None and not pc.max(pc.binary_length(exponent)).as_py():
        return digits
    return pc.binary_join_element_wise("" if sign is None else sign, digits, exponent, "")


def _with_point(digits: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    for mark in separators(cells.thousands):
        if cells.thousands in {".", ","} or pc.any(pc.match_substring(digits, mark)).as_py():
            digits = pc.replace_substring(digits, mark, "")
    return digits if cells.decimal == "." else pc.replace_substring(digits, cells.decimal, ".")


def _share_numeric(known: pa.ChunkedArray) -> float:
    count = len(known) - known.null_count
    return float((pc.sum(units.look_numeric(known)).as_py() or 0) / max(count, 1))


def _fitting(numerals: pa.ChunkedArray, rules: Rules, choice: Choice) -> list[tuple[Cells, NDArray[np.float64]]]:
    """Return the styles that read all ``numerals``, the user's first, with the numbers that each reads."""
    own = (rules.cells.decimal, rules.cells.thousands)
    used = {mark for mark in THOUSANDS if _separates(mark, numerals)}
    found = []
    for decimal, thousands in dict.fromkeys((own, *(marks for marks in _MARKS if marks[1] in ("", *used)))):
        plain = replace(rules.cells, decimal=decimal, thousands=thousands)
        for cells in (plain, _with_unit(plain, choice)):
            values = to_numbers(numerals, cells)
            if values is not None:
                found.append((cells, np.asarray(values.to_numpy(), np.float64)))
                break
    if rules.fixed and found and (found[0][0].decimal, found[0][0].thousands) == own:
        return found[:1]
    return found


def _separates(mark: str, numerals: pa.ChunkedArray) -> bool:
    """Return whether a thousands ``mark`` stands between digits."""
    found = any(pc.any(pc.match_substring(numerals, each)).as_py() for each in separators(mark))
    return found and _any(numerals, f"[0-9][{separators(mark)}][0-9]")


def _with_unit(cells: Cells, choice: Choice) -> Cells:
    return replace(cells, symbols=True, units=choice.unit, multiples=choice.multiples)


def _choose(
    name: str, numerals: pa.ChunkedArray, fits: Sequence[tuple[Cells, NDArray[np.float64]]], rules: Rules
) -> Style:
    """Return the style to read by, with a note on it."""
    points = [fit for fit in fits if fit[0].decimal == "."]
    if points and _any(numerals, _ENGLISH):
        fits = points
    commas = [fit for fit in fits if fit[0].decimal == ","]
    chosen, values = commas[0] if rules.comma and commas else fits[0]
    others = [fit for fit in fits if not np.array_equal(fit[1], values)]
    at = int(np.argmax(pc.binary_length(numerals).to_numpy()))
    shown = numerals[at].as_py()
    if not others:
        plain = (chosen.decimal, chosen.thousands, chosen.symbols) == (
            rules.cells.decimal,
            rules.cells.thousands,
            rules.cells.symbols,
        )
        note = f"column {name!r} has numbers such as {shown!r:.60}, read as {values[at]:.15g}"
        return Style(chosen, () if plain else (note,))
    other, numbers = others[0]
    at = int(np.argmax(values != numbers))
    note = (
        f"column {name!r} has numbers such as {numerals[at].as_py()!r:.60}, read as {values[at]:.15g}; use "
        f"{_flags(other)} to read it as {numbers[at]:.15g}"
    )
    return Style(chosen, (note,), ambiguous=True)


def _numbers(numerals: pa.ChunkedArray, cells: Cells) -> NDArray[np.float64]:
    """Return the numbers of strings that the rules ``cells`` read."""
    return np.asarray(to_numbers(numerals, cells), np.float64)


def _matches(strings: pa.Array, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.match_substring_regex(strings, pattern).to_numpy(zero_copy_only=False)
    return found


def _any(strings: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(strings, pattern)).as_py())


def _flags(cells: Cells) -> str:
    thousands = f" --thousands {shlex.quote(cells.thousands)}" if cells.thousands else ""
    return f"--decimal {cells.decimal}{thousands}"


def _are_many(others: dict[str, int], times: NDArray[np.int64]) -> bool:
    """Return whether there are too many ``others`` for values that are missing."""
    has_digits = any(character.isdigit() for string in others for character in string)
    often = sum(others.values()) > _MAX_OTHERS_SHARE * times.sum()
    return len(others) > _MAX_OTHERS or (has_digits and often)


def _are_codes(numerals: pa.ChunkedArray, others: dict[str, int]) -> bool:
    """Return whether the column is one of codes, as 001 beside other strings, or 135 and 136 beside 136A, 136B."""
    if _any(numerals, "^0[0-9]"):
        return True
    with_letter = sum(times for string, times in others.items() if re.match(_CODE, string))
    return with_letter > 1 and columns.all_match(numerals, "[0-9]+")


def _categories_note(name: str, others: dict[str, int], distinct: int, rules: Rules) -> str:
    return (
        f"column {name!r} has {_listed(others)} among numbers, {distinct:,} different values in all; it is treated as "
        f"categories, use --numeric {shlex.join([*rules.numeric, name])} to read the numbers and take the others as "
        "missing"
    )


def _in_several_units(name: str, examples: Sequence[str], rules: Rules, read: str) -> str:
    shown = " and ".join(f"{each!r:.60}" for each in examples)
    return (
        f"column {name!r} has numbers in several units, such as {shown}; it is treated as categories. Write them in "
        f"one unit, or use --numeric {shlex.join([*rules.numeric, name])} to read {read}"
    )


def _listed(counts: dict[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda pair: -pair[1])
    more = f" and {len(shown) - _MAX_LISTED:,} more" if len(shown) > _MAX_LISTED else ""
    return ", ".join(f"{string!r:.60} {count:,}" for string, count in shown[:_MAX_LISTED]) + more


def _conflict(column: _Column, numerals: pa.ChunkedArray, choice: Choice) -> str:
    """Say which number is written in another way than the one before it."""
    most = _most_readable(numerals, column.rules, choice)
    odd = numerals.filter(pc.invert(pc.is_in(numerals, value_set=most)))
    row = pc.index(pc.is_in(column.known, value_set=odd.combine_chunks()), True).as_py()
    beside = f" beside {most[0].as_py()!r:.60}" if len(most) else ""
    return (
        f"column {column.name!r} has {column.known[row].as_py()!r:.60} in row {row + 1} below the header{beside}, and "
        "no decimal mark and thousands separator read both; write all numbers alike, or treat the column as categories "
        f"with {column.remedy}"
    )


def _most_readable(numerals: pa.ChunkedArray, rules: Rules, choice: Choice) -> pa.Array:
    """Return those of the ``numerals`` that the style reads which reads most of them."""
    cells = _with_unit(rules.cells, choice)
    styles = [replace(cells, decimal=decimal, thousands=mark) for decimal, mark in _MARKS]
    return max((numerals.filter(readable(numerals, cells)).combine_chunks() for cells in styles), key=len)
