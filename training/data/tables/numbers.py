"""How the numbers of one column are written: decimal mark, thousands separator, currency and percent signs.

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

from service.cells import MINUS, NUMBER_MAX_LETTERS, SPACES, SYMBOLS, Cells, number_pattern, separators
from training.data.tables import columns

# The first that fits is taken where several do: 1,234 is more often a thousand than 1.234.
_MARKS: Final = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_FEW_VALUES: Final = 30  # different ones in a column of categories such as 1, 2, 3+
_MAX_OTHERS: Final = 20  # different strings that are read as missing; all are in the manifest
_MAX_OTHERS_SHARE: Final = 0.05
_MAX_LISTED: Final = 5
# 136A or c168 among integers; not 1O5, 12k or 30m, which are typos and units.
_CODE: Final = "^(?:[0-9]+[A-HJLNP-Z]|[A-HJ-NP-Za-km-np-z][0-9]+)$"
_ENGLISH: Final = "(?:^|[^R])[$]|£|USD|GBP"  # written with a decimal point, unlike R$


@dataclass(frozen=True, slots=True)
class Rules:
    """How to read the columns of a table.

    ``cells`` are the table's own rules. ``fixed`` says that the user chose its marks. ``comma`` says that a comma is
    rather the decimal mark, as in files with semicolons, and ``points`` that a point rather separates thousands, as
    other columns have a decimal comma. ``numeric`` are columns to be read as numbers whatever else they hold.
    """

    cells: Cells
    fixed: bool = False
    comma: bool = False
    points: bool = False
    numeric: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Style:
    """The rules that read a column as numbers; None if it is one of strings.

    ``ambiguous`` says that the marks could be read otherwise. ``error`` says why the column cannot be used.
    """

    cells: Cells | None
    notes: tuple[str, ...] = ()
    ambiguous: bool = False
    error: str = ""


_STRINGS: Final = Style(None)


def to_numbers(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray | None:
    """Return the strings as float64, null where they are null; None unless all are numbers."""
    pattern = number_pattern(cells.decimal, cells.thousands, symbols=cells.symbols)
    if not columns.all_match(known.slice(0, columns.FIRST_ROWS), pattern):
        return None
    if (pc.max(pc.binary_length(known)).as_py() or 0) > NUMBER_MAX_LETTERS:
        return None
    if (cells.decimal, cells.thousands, cells.symbols) != (".", "", False):
        if not columns.all_match(known, pattern):
            return None
        known = _plain(known, cells)
    try:
        values = known.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.is_nan(values)).as_py() else values  # Arrow parses nan, in any case, as a number


def readable(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Return for each string whether it is a number by the rules ``cells``."""
    pattern = number_pattern(cells.decimal, cells.thousands, symbols=cells.symbols)
    fits = pc.less_equal(pc.binary_length(known), NUMBER_MAX_LETTERS)
    return pc.and_(fits, pc.match_substring_regex(known, f"^(?:{pattern})$"))


def find_style(name: str, known: pa.ChunkedArray, rules: Rules, remedy: str) -> Style:
    """Return how the ``known`` strings of a column that are no plain numbers are to be read.

    ``remedy`` is the option that keeps the strings.
    """
    forced = name in rules.numeric
    if not forced and _share_numeric(known.slice(0, columns.FIRST_ROWS)) <= 0.5:
        return _STRINGS
    found = pc.value_counts(known.drop_null())
    values, times = found.field("values"), found.field("counts").to_numpy()
    like = columns.look_numeric(values).to_numpy(zero_copy_only=False)
    if not like.any() or (not forced and times[like].sum() * 2 <= times.sum()):
        return _STRINGS
    numerals = pa.chunked_array([values.filter(pa.array(like))])
    fits = _fitting(numerals, rules)
    if not fits:
        most = pc.is_in(values, value_set=_most_readable(numerals, rules)).to_numpy(zero_copy_only=False)
        if times[most].sum() < (1 - _MAX_OTHERS_SHARE) * times[like].sum():
            return Style(None, error=_conflict(name, known, numerals, rules, remedy))
        like, numerals = most, pa.chunked_array([values.filter(pa.array(most))])
        fits = _fitting(numerals, rules)
    cells, ambiguous, notes = _choose(name, numerals, fits, rules)
    others = values.filter(pa.array(~like)).to_pylist()
    if not others:
        return Style(cells, notes, ambiguous)
    counts = dict(zip(others, times[~like].tolist(), strict=True))
    if not forced and (_are_codes(numerals, counts) or _are_categories(len(values), counts, times)):
        return Style(None, (_categories_note(name, counts, len(values), rules),))
    marks = tuple(sorted(counts)) if len(counts) <= _MAX_OTHERS else tuple(sorted(counts)[:_MAX_OTHERS])
    if len(counts) > _MAX_OTHERS:
        notes += (f"column {name!r} has {len(counts):,} different strings among its numbers; clients may send 20",)
    note = f"column {name!r} has {_listed(counts)} among its numbers, read as missing; use {remedy} to keep them"
    cells = replace(cells, missing_numbers=(*cells.missing_numbers, *marks))
    return Style(cells, (*notes, note), ambiguous)


def is_ambiguous(known: pa.ChunkedArray) -> bool:
    """Return whether the points of plain numbers may separate thousands: 19.118 beside 999, but no 0.126 or 1.25."""
    both = r"[-+]?[1-9][0-9]{0,2}\.[0-9]{3}|[-+]?[0-9]{1,3}"
    if not (columns.all_match(known.slice(0, columns.FIRST_ROWS), both) and columns.all_match(known, both)):
        return False
    return bool(pc.any(pc.match_substring(known, ".")).as_py())


def _plain(known: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    if cells.symbols:
        known = pc.replace_substring_regex(known, "^[(](.*)[)]$", r"-\1")
        known = pc.replace_substring_regex(known, f"[{SPACES}]?(?:%|{SYMBOLS})[{SPACES}]?", "")
        known = pc.replace_substring(known, MINUS, "-")
    if cells.thousands:
        known = pc.replace_substring_regex(known, f"[{separators(cells.thousands)}]", "")
    return pc.replace_substring(known, cells.decimal, ".")


def _share_numeric(known: pa.ChunkedArray) -> float:
    count = len(known) - known.null_count
    return float((pc.sum(columns.look_numeric(known)).as_py() or 0) / max(count, 1))


def _fitting(numerals: pa.ChunkedArray, rules: Rules) -> list[tuple[Cells, NDArray[np.float64]]]:
    """Return the styles that read all ``numerals``, the user's first, with the numbers that each reads."""
    own = (rules.cells.decimal, rules.cells.thousands)
    found = []
    for decimal, thousands in dict.fromkeys((own, *_MARKS)):
        for symbols in (False, True):
            cells = replace(rules.cells, decimal=decimal, thousands=thousands, symbols=symbols)
            values = to_numbers(numerals, cells)
            if values is not None:
                found.append((cells, np.asarray(values.to_numpy(), np.float64)))
                break
    if rules.fixed and found and (found[0][0].decimal, found[0][0].thousands) == own:
        return found[:1]
    return found


def _choose(
    name: str, numerals: pa.ChunkedArray, fits: Sequence[tuple[Cells, NDArray[np.float64]]], rules: Rules
) -> tuple[Cells, bool, tuple[str, ...]]:
    """Return the style to read by, whether another reads other numbers, and a note on it."""
    points = [fit for fit in fits if fit[0].decimal == "."]
    if points and pc.any(pc.match_substring_regex(numerals, _ENGLISH)).as_py():
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
        return chosen, False, () if plain else (note,)
    other, numbers = others[0]
    at = int(np.argmax(values != numbers))
    return (
        chosen,
        True,
        (
            f"column {name!r} has numbers such as {numerals[at].as_py()!r:.60}, read as {values[at]:.15g}; use "
            f"{_flags(other)} to read it as {numbers[at]:.15g}",
        ),
    )


def _flags(cells: Cells) -> str:
    thousands = f" --thousands {shlex.quote(cells.thousands)}" if cells.thousands else ""
    return f"--decimal {cells.decimal}{thousands}"


def _are_categories(distinct: int, others: dict[str, int], times: NDArray[np.int64]) -> bool:
    if distinct <= _FEW_VALUES and times.mean() >= 2:
        return True
    has_digits = any(character.isdigit() for string in others for character in string)
    often = sum(others.values()) > _MAX_OTHERS_SHARE * times.sum()
    return len(others) > _MAX_OTHERS or (has_digits and often)


def _are_codes(numerals: pa.ChunkedArray, others: dict[str, int]) -> bool:
    """Return whether the column is one of codes, as 001 beside other strings, or 135 and 136 beside 136A, 136B."""
    if pc.any(pc.match_substring_regex(numerals, "^0[0-9]")).as_py():
        return True
    with_letter = sum(times for string, times in others.items() if re.match(_CODE, string))
    return with_letter > 1 and columns.all_match(numerals, "[0-9]+")


def _categories_note(name: str, others: dict[str, int], distinct: int, rules: Rules) -> str:
    return (
        f"column {name!r} has {_listed(others)} among numbers, {distinct:,} different values in all; it is treated as "
        f"categories, use --numeric {shlex.join([*rules.numeric, name])} to read the numbers and take the others as "
        "missing"
    )


def _listed(counts: dict[str, int]) -> str:
    shown = sorted(counts.items(), key=lambda pair: -pair[1])
    more = f" and {len(shown) - _MAX_LISTED:,} more" if len(shown) > _MAX_LISTED else ""
    return ", ".join(f"{string!r:.60} {count:,}" for string, count in shown[:_MAX_LISTED]) + more


def _conflict(name: str, known: pa.ChunkedArray, numerals: pa.ChunkedArray, rules: Rules, remedy: str) -> str:
    """Say which number is written in another way than the one before it."""
    most = _most_readable(numerals, rules)
    odd = numerals.filter(pc.invert(pc.is_in(numerals, value_set=most)))
    row = pc.index(pc.is_in(known, value_set=odd.combine_chunks()), True).as_py()
    beside = f" beside {most[0].as_py()!r:.60}" if len(most) else ""
    return (
        f"column {name!r} has {known[row].as_py()!r:.60} in row {row + 1} below the header{beside}, and no decimal "
        f"mark and thousands separator read both; write all numbers alike, or treat the column as categories with "
        f"{remedy}"
    )


def _most_readable(numerals: pa.ChunkedArray, rules: Rules) -> pa.Array:
    """Return those of the ``numerals`` that the style reads which reads most of them."""
    styles = [replace(rules.cells, decimal=decimal, thousands=mark, symbols=True) for decimal, mark in _MARKS]
    return max((numerals.filter(readable(numerals, cells)).combine_chunks() for cells in styles), key=len)
