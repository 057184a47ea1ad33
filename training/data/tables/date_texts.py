"""Read texts as dates or times: what `service.dates` does with one text, for all texts of a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.dates import NANOSECONDS, DateFormat, parse

_LENGTH: Final = 20
# For RE2, which is ten times as fast without groups.
_TIME: Final = "(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z?)?"
_YEAR_FIRST: Final = f"^[0-9]{{4}}[-/.][0-9]{{2}}[-/.][0-9]{{2}}{_TIME}$"
_YEAR_LAST: Final = f"^[0-9]{{2}}[-/.][0-9]{{2}}[-/.][0-9]{{4}}{_TIME}$"


class _Layout(NamedTuple):
    """A pattern whose texts have their year, month and day at fixed places, and where these begin."""

    pattern: str
    year: int
    month: int
    day: int


# Most columns have one of these, and then a column of a million different texts takes less than a second.
_LAYOUTS: Final[Mapping[DateFormat, _Layout]] = {
    "year-month-day": _Layout(_YEAR_FIRST, 0, 5, 8),
    "day-month-year": _Layout(_YEAR_LAST, 6, 3, 0),
    "month-day-year": _Layout(_YEAR_LAST, 6, 0, 3),
}


def days_of(strings: pa.ChunkedArray, form: DateFormat) -> NDArray[np.float64]:
    """Return the days of ``strings``, NaN where they are null or no date."""
    encoded = pc.dictionary_encode(strings).combine_chunks()
    days = np.append(days_of_distinct(encoded.dictionary, form), np.nan)
    found: NDArray[np.float64] = days[encoded.indices.fill_null(len(days) - 1).to_numpy()]
    return found


def days_of_distinct(strings: pa.Array, form: DateFormat) -> NDArray[np.float64]:
    """Return what `service.dates.days_of` gives for each of ``strings``, NaN for None."""
    days = np.full(len(strings), np.nan)
    regular = np.zeros(len(strings), np.bool_)
    if layout := _LAYOUTS.get(form):
        regular = pc.match_substring_regex(strings, layout.pattern).to_numpy(zero_copy_only=False)
        days[regular] = _regular_days(strings.filter(pa.array(regular)), layout)
    for index in np.flatnonzero(~regular).tolist():
        found = parse(strings[index].as_py(), form)
        if found is not None:
            days[index] = found
    return days


def _regular_days(strings: pa.Array, layout: _Layout) -> NDArray[np.float64]:
    """Return the days of ``strings`` that have this ``layout``; NaN where there is no such day or time."""
    places = ((layout.year, 4), (layout.month, 2), (layout.day, 2), (11, 2), (14, 2), (17, 2))
    weights = np.zeros((_LENGTH, len(places)))
    for number, (first, count) in enumerate(places):
        weights[first : first + count, number] = 10.0 ** np.arange(count)[::-1]
    numbers = (_digits(pc.utf8_rpad(strings, _LENGTH)) @ weights).astype(np.int64)
    year, month, day, hour, minute, second = numbers.T
    wrong = (year < 1) | (month < 1) | (month > 12) | (hour > 23) | (minute > 59) | (second > 59)
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    start, after = (_first_day(each) for each in (months, months + 1))
    wrong |= (day < 1) | (day > after - start)
    nanoseconds = ((hour * 60 + minute) * 60 + second) * 1_000_000_000
    return np.where(wrong, np.nan, start + day - 1 + nanoseconds / NANOSECONDS)


def _digits(padded: pa.Array) -> NDArray[np.float64]:
    """Return the digits of ASCII texts of equal length, 0 for a blank, (texts, letters) float64."""
    letters = np.frombuffer("".join(padded.to_pylist()).encode(), np.uint8).reshape(len(padded), _LENGTH)
    return np.maximum(letters, ord("0")).astype(np.float64) - ord("0")


def _first_day(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the days since 1970-01-01 of the first days of ``months`` since then."""
    found: NDArray[np.int64] = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return found
