"""Recognise a column of dates or times, and read it as days since 1970-01-01.

A text is read exactly as the server reads a client's, see `service.dates`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.cells import BLANKS, Cells
from service.dates import EXAMPLES, FIRST_DAY, FIRST_YEAR, LAST_DAY, NANOSECONDS, DateFormat, days_of_ticks
from training.data.tables import columns, date_texts
from training.data.tables.parsing import ParsedColumn
from training.errors import DataError

ORDERS: Final = ("auto", "day", "month")
# A column of dates has no more other texts than this; they are read as missing.
_MAX_UNREADABLE: Final = 0.03
# Fewer dates than this are not worth a note.
_MIN_NOTED: Final = 0.5
_SAMPLE: Final = 1000
# The first that reads most is taken.
_FORMATS: Final[tuple[DateFormat, ...]] = (
    "year-month-day",
    "month-day-year",
    "day-month-year",
    "year-month",
    "month-year",
    "time",
)
_ORDERED: Final[Mapping[str, DateFormat]] = {"month": "month-day-year", "day": "day-month-year"}
# Days and months that are both numbers, and those with another mark than a point between them.
_TWO_NUMBERS: Final = "^[^0-9]*[0-9]{1,2}(?: *[-/.,] *| +)[0-9]{1,2}(?: *[-/.,] *| +)"
_NOT_DOTTED: Final = "^[^0-9]*[0-9]{1,2}(?: *[-/,] *| +)[0-9]{1,2}"
_SHORT_YEAR: Final = (
    r"^[^0-9]*[0-9]{1,2}[^0-9:]+[0-9]{1,2}[^0-9:]+'?[0-9]{2}\b|^[a-zA-Z]+(-| ?')[0-9]{2}$|"
    "^[0-9]{1,2}[a-zA-Z]+[0-9]{2}(:|$)"
)
_DATE_NAME: Final = re.compile(
    "(?:^|[^a-z])(?:dates?|days?|dt|datum|fecha|months?|periods?|yyyymm(?:dd)?|ymd?|yyyymm)(?:$|[^a-z])"
)
# A time of day, a time zone in letters, and a year as in Java.
_ZONED: Final = "(:[0-9]{2}(?:[.][0-9]+)?(?: [AP]M)?) ([A-Z]{2,5})( [0-9]{4})?$"
_WORDS: Final = re.compile("(?<=[a-z])(?=[A-Z])")
_YEARS: Final = (1900, 2100)  # of integers: others are more likely numbers
_PER_DAY: Final = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": NANOSECONDS}
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class DateOptions:
    """``order`` is one of `ORDERS`: what comes first in 01/02/2020. Columns in ``named`` are dates, whatever else."""

    order: str = "auto"
    named: tuple[str, ...] = ()


def infer(
    name: str,
    array: pa.ChunkedArray,
    cells: Cells,
    options: DateOptions,
    chooses: NDArray[np.bool_] | None = None,
) -> ParsedColumn | None:
    """Read column ``name`` as dates or times; None if it has none, perhaps with a note for the user.

    Durations become numbers of days. The rows ``chooses`` (rows,) choose the format by which all are read, None for all
    rows. The notes of the result say what may have been misread.
    """
    if pa.types.is_temporal(array.type):
        return _of_temporal(name, array)
    found = None
    if columns.is_string(array):
        found = _of_strings(name, array, cells, options, chooses)
    elif columns.is_numeric(array):
        found = _of_integers(name, array, options, chooses)
    if found is None and name in options.named:
        error = f"column {name!r} has no dates that can be read, and is named in --datetime; leave it out there"
        return ParsedColumn(array, errors=[error])
    return found


def days_of(name: str, array: pa.ChunkedArray, form: DateFormat, cells: Cells) -> NDArray[np.float64]:
    """Return the days of a column of dates in a known format, NaN where a value is missing or no such date."""
    if pa.types.is_temporal(array.type):
        return columns.to_numbers(_of_temporal(name, array).array)
    return date_texts.days_of(_known(columns.to_strings(array), cells), form)


def days_of_durations(array: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return durations as numbers of days, NaN where missing."""
    return columns.to_numbers(_of_temporal("", array).array)


def read(name: str, array: pa.ChunkedArray, form: DateFormat, cells: Cells) -> NDArray[np.float64]:
    """Return the days of a column of dates in a known format, NaN where missing. Raises `DataError`."""
    days = days_of(name, array, form, cells)
    if pa.types.is_temporal(array.type):
        return days
    known = _known(columns.to_strings(array), cells)
    unreadable = known.filter(pa.array(np.isnan(days))).drop_null()
    if len(unreadable):
        raise DataError(
            f"column {name!r} has {unreadable[0].as_py()!r:.60}, expected a date such as {EXAMPLES[form]!r}"
        )
    return days


def holds_dates(array: pa.ChunkedArray, cells: Cells) -> bool:
    """Return whether the values are dates, times or durations, or mostly strings that are read so."""
    if pa.types.is_temporal(array.type):
        return True
    best = _best(array, cells, "auto") if columns.is_string(array) else None
    return best is not None and best.share > _MIN_NOTED


def note_of(name: str, array: pa.ChunkedArray, cells: Cells) -> str | None:
    """Return a note if a column that `infer` does not read looks like dates all the same."""
    if columns.is_string(array):
        best = _best(array, cells, "auto")
        if best is None and (zone := _unknown_zone(array, cells)):
            return (
                f"column {name!r} has times in {zone}, which names no time zone or several, and is read as strings. "
                "Write offsets such as +05:30, or leave the zone out if it is the same in all rows"
            )
        if best is None or not _MIN_NOTED <= best.share < 1 - _MAX_UNREADABLE:
            return None
        return (
            f"column {name!r} has dates such as {best.example!r:.60}, but {1 - best.share:.0%} of its values are not, "
            f"such as {best.unreadable[0]!r:.60}; it is read as strings. To read it as dates, and the others as "
            f"missing, use --datetime {shlex.quote(name)}"
        )
    if not columns.is_numeric(array) or (found := _digits(array)) is None:
        return None
    form, first = found
    return (
        f"column {name!r} has integers that may be dates written as {form}, such as {first}; they are read as numbers. "
        f"To read them as dates, use --datetime {shlex.quote(name)}"
    )


def _of_temporal(name: str, array: pa.ChunkedArray) -> ParsedColumn:
    types, kind = pa.types, array.type
    per_day = 1 if types.is_date32(kind) else _PER_DAY[getattr(kind, "unit", "ms")]
    counted = array.cast(pa.int32()) if types.is_date32(kind) or types.is_time32(kind) else array
    missing = array.is_null().to_numpy()
    ticks = counted.cast(pa.int64()).fill_null(0).to_numpy()
    if types.is_duration(kind):
        days = np.where(missing, np.nan, ticks / per_day)
        note = f"column {name!r} has durations; they are numbers of days, which is also what clients send"
        return ParsedColumn(_from_days(days), notes=[note])
    days = np.where(missing, np.nan, days_of_ticks(ticks, per_day))
    outside = (days < FIRST_DAY) | (days >= LAST_DAY + 1)
    days[outside] = np.nan
    notes = []
    if outside.any():
        notes.append(f"column {name!r} has {outside.sum():,} dates beyond the years 1 to 9999, read as missing")
    form: DateFormat = "time" if types.is_time(kind) else "year-month-day"
    if getattr(kind, "tz", None) not in (None, "UTC"):
        notes.append(f"column {name!r} has times in {kind.tz}, read in UTC, as the server reads times with a zone")
    return ParsedColumn(_from_days(days), notes=notes, dates=form)


def _of_strings(
    name: str, array: pa.ChunkedArray, cells: Cells, options: DateOptions, chooses: NDArray[np.bool_] | None
) -> ParsedColumn | None:
    named = name in options.named
    best = _best(_chosen(array, chooses), cells, options.order, digits=named)
    if best is None or (best.share < 1 - _MAX_UNREADABLE and not named):
        return None
    known = _known(array, cells)
    days = best.days_of(known) if chooses is None else date_texts.days_of(known, best.form)
    missing = columns.count(pc.utf8_trim(array, characters=BLANKS).filter(known.is_null()))
    notes = _reading_notes(name, best, known, options)
    unreadable = known.filter(pa.array(np.isnan(days))).drop_null()
    if len(unreadable):
        shown = ", ".join(f"{each!r:.60}" for each in pc.unique(unreadable).slice(0, _SHOWN).to_pylist())
        notes.append(
            f"column {name!r} has texts that are not such dates ({len(unreadable):,}: {shown}); they are read as "
            "missing, and the server rejects them: send null"
        )
    order = "day" if best.form == "month-day-year" else "month"
    way_out = f"if the {order} comes first, use --date-order {order}" if best.either else "write all dates alike"
    errors = _other_errors(name, known, days, chooses, f"{best.example!r:.60}, read as {best.form}; {way_out}")
    return ParsedColumn(_from_days(days), missing, errors, notes, dates=best.form)


def _of_integers(
    name: str, array: pa.ChunkedArray, options: DateOptions, chooses: NDArray[np.bool_] | None
) -> ParsedColumn | None:
    named = name in options.named
    if not named and not _DATE_NAME.search(_WORDS.sub("_", name).lower()):
        return None
    found = _digits(_chosen(array, chooses))
    if found is None:
        return None
    form, first = found
    strings = columns.to_strings(columns.to_integers(array))
    days = date_texts.days_of(strings, form)
    note = f"column {name!r} has dates such as {first}, read as {form}; for numbers, give it another name"
    errors = _other_errors(name, strings, days, chooses, f"{first}, read as {form}; write all dates alike")
    return ParsedColumn(_from_days(days), errors=errors, notes=[note], dates=form)


def _chosen(array: pa.ChunkedArray, chooses: NDArray[np.bool_] | None) -> pa.ChunkedArray:
    return array if chooses is None else array.filter(pa.array(chooses))


def _other_errors(
    name: str, known: pa.ChunkedArray, days: NDArray[np.float64], chooses: NDArray[np.bool_] | None, example: str
) -> list[str]:
    """Return an error if the format that the rows ``chooses`` chose does not read the dates of the other rows."""
    if chooses is None:
        return []
    others = ~chooses & known.is_valid().to_numpy()
    unread = others & np.isnan(days)
    if unread.sum() <= _MAX_UNREADABLE * others.sum():
        return []
    row = int(np.argmax(unread))
    return [
        f"column {name!r} has {known[row].as_py()!r:.60} in row {row + 1} below the header, and training rows have "
        f"dates such as {example}"
    ]


@dataclass(frozen=True, slots=True)
class _Best:
    """The format that reads the largest ``share`` of the values, with texts that it reads and does not read.

    ``either`` says that the day and the month may be the other way round. ``strings`` are the distinct texts of the
    column, and ``days`` (strings,) what they are in this format, NaN for no date.
    """

    form: DateFormat
    share: float
    example: str
    unreadable: list[str]
    either: bool
    strings: pa.Array
    days: NDArray[np.float64]

    def days_of(self, known: pa.ChunkedArray) -> NDArray[np.float64]:
        """Return the days of the ``known`` strings of the column, NaN where null."""
        places = pc.index_in(known, value_set=self.strings).fill_null(len(self.strings)).to_numpy()
        found: NDArray[np.float64] = np.append(self.days, np.nan)[places]
        return found


def _best(array: pa.ChunkedArray, cells: Cells, order: str, *, digits: bool = False) -> _Best | None:
    """Return the format that reads most of the strings; None if none reads half of the first ones."""
    formats: Sequence[DateFormat] = (*_FORMATS, "yyyymmdd", "yyyymm") if digits else _FORMATS
    first, times = _counted(_first(array, cells))
    if not len(first):
        return None
    tried = {each: _share(_reads(first, each), times) for each in formats}
    candidates = _candidates(tried)
    if not candidates:
        return None
    strings, times = _counted(_known(array, cells))
    days = {each: date_texts.days_of_distinct(strings, each) for each in candidates}
    shares = {each: _share(~np.isnan(days[each]), times) for each in candidates}
    form = max(candidates, key=lambda each: shares[each])
    good = strings.filter(pa.array(~np.isnan(days[form])))
    if not len(good) or (form == "year-month" and _are_seasons(good)):
        return None
    both = set(_ORDERED.values()) <= shares.keys() and shares["day-month-year"] == shares["month-day-year"]
    either = both and form in _ORDERED.values() and _any(good, _TWO_NUMBERS)
    if either:
        dotted = not _any(good, _NOT_DOTTED)
        form = _ORDERED[order if order != "auto" else "day" if dotted else "month"]
    unreadable = strings.filter(pa.array(np.isnan(days[form]))).slice(0, _SHOWN).to_pylist()
    return _Best(form, shares[form], good[0].as_py(), unreadable, either, strings, days[form])


def _candidates(shares: Mapping[DateFormat, float]) -> list[DateFormat]:
    """Return the formats that read nearly as many of the first strings as the one that reads most of them."""
    most = max(shares.values())
    if most < _MIN_NOTED:
        return []
    if shares["year-month-day"] == most:
        return ["year-month-day"]  # all formats read ISO 8601 as well
    return [form for form, share in shares.items() if share >= most - _MAX_UNREADABLE]


def _first(array: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Return some of the first strings that are not missing."""
    found = _known(array.slice(0, _SAMPLE), cells).drop_null()
    return found if len(found) else _known(array, cells).drop_null().slice(0, _SAMPLE)


def _counted(strings: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the distinct ``strings`` and how often each occurs; nulls are skipped."""
    found = pc.value_counts(strings.drop_null())
    return found.field("values"), found.field("counts").to_numpy()


def _reads(strings: pa.Array, form: DateFormat) -> NDArray[np.bool_]:
    return ~np.isnan(date_texts.days_of_distinct(strings, form))


def _share(reads: NDArray[np.bool_], times: NDArray[np.int64]) -> float:
    """Return the share of the first values that are read; each distinct one occurs some ``times``."""
    counts = times[: len(reads)]
    return float(counts[reads].sum() / counts.sum())


def _any(strings: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(strings, pattern)).as_py())


def _are_seasons(strings: pa.Array) -> bool:
    """Return whether all are like 2001-02, where the second number is the next year's rather than a month."""
    pairs = [re.findall("[0-9]+", each) for each in strings.to_pylist()]
    return all(len(pair) == 2 and (int(pair[0]) + 1) % 100 == int(pair[1]) for pair in pairs)


def _reading_notes(name: str, best: _Best, known: pa.ChunkedArray, options: DateOptions) -> list[str]:
    """Return a note on dates that could be read in another way."""
    parts = []
    if best.either:
        other = "month" if best.form == "day-month-year" else "day"
        asked = options.order != "auto"
        parts.append("as --date-order says" if asked else f"if the {other} comes first, use --date-order {other}")
    if best.form in ("month-day-year", "day-month-year", "month-year") and _any(_sample(known), _SHORT_YEAR):
        parts.append(f"years of two digits are {FIRST_YEAR} to {FIRST_YEAR + 99}")
    if not parts:
        return []
    return [f"column {name!r} has dates such as {best.example!r:.60}, read as {best.form}; {'; '.join(parts)}"]


def _sample(known: pa.ChunkedArray) -> pa.ChunkedArray:
    return known.drop_null().slice(0, _SAMPLE)


def _known(array: pa.ChunkedArray, cells: Cells) -> pa.ChunkedArray:
    """Return the stripped strings, null where missing."""
    stripped = pc.utf8_trim(array, characters=BLANKS)
    return pc.if_else(pc.is_in(stripped, value_set=pa.array(["", *cells.missing_numbers])), None, stripped)


def _unknown_zone(array: pa.ChunkedArray, cells: Cells) -> str | None:
    """Return the abbreviation that keeps most of the strings from being dates, such as IST; None if none does."""
    first = _first(array, cells)
    zoned = first.filter(pc.match_substring_regex(first, _ZONED))
    if len(zoned) < _MIN_NOTED * max(len(first), 1) or not len(zoned):
        return None
    if _best(pc.replace_substring_regex(zoned, _ZONED, r"\1\3"), cells, "auto") is None:
        return None
    zone: str = pc.replace_substring_regex(zoned[:1], f".*{_ZONED[:-1]}.*", r"\2")[0].as_py()
    return zone


def _digits(array: pa.ChunkedArray) -> tuple[DateFormat, str] | None:
    """Return the format in which all numbers are dates of digits alone, and the first one."""
    if not columns.is_integral(array) or array.null_count == len(array):
        return None
    integers = columns.to_integers(array).drop_null()
    bounds = pc.min_max(integers).as_py()
    forms: tuple[tuple[DateFormat, int], ...] = (("yyyymmdd", 10_000), ("yyyymm", 100))
    for form, unit in forms:
        if _YEARS[0] * unit < bounds["min"] and bounds["max"] < _YEARS[1] * unit:
            distinct = pc.unique(integers).cast(pa.string())
            if len(distinct) > 1 and not np.isnan(date_texts.days_of_distinct(distinct, form)).any():
                return form, distinct[0].as_py()
    return None


def _from_days(days: NDArray[np.float64]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(days, pa.float64(), from_pandas=True)])
