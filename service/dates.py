"""How a text is read as a date or a time of day, in training and in serving: as days since 1970-01-01.

Training reads the distinct texts of a column with `parse`, those of the most common layouts with numpy. The service
reads single texts with `days_of`. Both give the same float64: the number of the day plus the share of the day that has
passed. Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

_Ticks = Any  # an int or an array; numpy is not of the standard library
DateFormat = Literal[
    "year-month-day",
    "day-month-year",
    "month-day-year",
    "year-month",
    "month-year",
    "yyyymmdd",
    "yyyymm",
    "time",
]
# Of each format, a text that a message can show.
EXAMPLES: Final[Mapping[DateFormat, str]] = MappingProxyType(
    {
        "year-month-day": "2020-01-31",
        "day-month-year": "31/01/2020",
        "month-day-year": "01/31/2020",
        "year-month": "2020-01",
        "month-year": "01/2020",
        "yyyymmdd": "20200131",
        "yyyymm": "202001",
        "time": "17:30",
    }
)
# The formats whose dates are the first day of a month.
MONTHLY: Final = frozenset[DateFormat](("year-month", "month-year", "yyyymm"))
# The formats that JSON and Arrow may also have as an integer.
INTEGERS: Final = frozenset[DateFormat](("yyyymmdd", "yyyymm"))

MAX_LETTERS: Final = 64
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NANOSECONDS: Final = 86_400_000_000_000  # of a day
LAST_DAY: Final = date.max.toordinal() - date(1970, 1, 1).toordinal()
FIRST_DAY: Final = date.min.toordinal() - date(1970, 1, 1).toordinal()
# Years of two digits are 1969 to 2068, as POSIX reads them: https://pubs.opengroup.org/onlinepubs/9799919799/functions/strptime.html
FIRST_YEAR: Final = 1969

_EPOCH: Final = date(1970, 1, 1).toordinal()
_WEEKDAY: Final = (
    "(?:(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
    "[.,]? +)?"
)
_NAME: Final = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_MONTH: Final = f"(?P<month>[0-9]{{1,2}}|{_NAME})"
_NAMED_MONTH: Final = f"(?P<month>{_NAME})"
_DAY: Final = "(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
_LONG_YEAR: Final = "(?P<year>[0-9]{4})"
_YEAR: Final = "(?P<year>[0-9]{4}|'?[0-9]{2})"
_BETWEEN: Final = "(?: *[-/.,] *| +)"
_CLOCK: Final = (
    "(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    "(?: ?(?P<half>[ap][.]?m[.]?))?(?: ?(?P<zone>z|utc|gmt|[-+][0-9]{2}(?::?[0-9]{2})?))?"
)
_TIME: Final = f"(?:(?:t|:|,? +){_CLOCK})?"
# They match a stripped text in full. Their groups are named in `_days`, `_nanoseconds` and `_offset_minutes`.
_FLAGS: Final = re.IGNORECASE | re.ASCII
_YEAR_MONTH_DAY: Final = f"{_WEEKDAY}{_LONG_YEAR}{_BETWEEN}{_MONTH}{_BETWEEN}{_DAY}{_TIME}"
_YEAR_MONTH: Final = f"{_LONG_YEAR}(?:[-/]| +){_MONTH}"
_QUARTER: Final = "q(?P<quarter>[1-4])"
_YEAR_QUARTER: Final = f"{_LONG_YEAR}(?:[-/]| *){_QUARTER}"
# A date in ISO 8601 is read in every column of dates, and a month in every column of months.
PATTERNS: Final[Mapping[DateFormat, tuple[str, ...]]] = MappingProxyType(
    {
        "year-month-day": (_YEAR_MONTH_DAY,),
        "day-month-year": (f"{_WEEKDAY}{_DAY}{_BETWEEN}{_MONTH}{_BETWEEN}{_YEAR}{_TIME}", _YEAR_MONTH_DAY),
        "month-day-year": (
            f"{_WEEKDAY}{_MONTH}{_BETWEEN}{_DAY}{_BETWEEN}{_YEAR}{_TIME}",
            f"{_WEEKDAY}{_NAMED_MONTH} +{_DAY} +{_CLOCK} +{_LONG_YEAR}",  # as C's ctime writes it
            _YEAR_MONTH_DAY,
        ),
        "year-month": (_YEAR_MONTH, _YEAR_QUARTER, _YEAR_MONTH_DAY),
        "month-year": (
            f"(?P<month>[0-9]{{1,2}})[-/]{_LONG_YEAR}",
            f"{_NAMED_MONTH}{_BETWEEN}{_LONG_YEAR}",
            f"{_NAMED_MONTH}(?:-| ?')(?P<year>[0-9]{{2}})",
            f"{_QUARTER}(?:[-/]| *){_LONG_YEAR}",
            _YEAR_MONTH,
            _YEAR_QUARTER,
            _YEAR_MONTH_DAY,
        ),
        "yyyymmdd": (f"{_LONG_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})(?:[.]0)?", _YEAR_MONTH_DAY),
        "yyyymm": (f"{_LONG_YEAR}(?P<month>[0-9]{{2}})(?:[.]0)?", _YEAR_MONTH, _YEAR_QUARTER, _YEAR_MONTH_DAY),
        "time": (_CLOCK,),
    }
)


def days_of(text: str, form: DateFormat) -> float | None:
    """Days since 1970-01-01 of a stripped ``text``; of a time, the share of the day. None if it is not one.

    A time with a zone is converted to UTC, and one without is taken as it is.
    """
    return _remembered(text, form) if len(text) <= MAX_LETTERS else None


def parse(text: str, form: DateFormat) -> float | None:
    """The same, for many different texts: `days_of` remembers the last ones."""
    if len(text) > MAX_LETTERS:
        return None
    for pattern in _compiled(form):
        if match := pattern.fullmatch(text):
            return _days(match.groupdict(), form)
    return None


def days_of_ticks(ticks: _Ticks, ticks_per_day: int) -> _Ticks:
    """Days since 1970-01-01 of an integer, or a numpy array of integers, that counts ``ticks`` since then.

    They are those of `days_of` for the same time.
    """
    day, rest = divmod(ticks, ticks_per_day)
    return day + rest / ticks_per_day


def text_of(days: float, form: DateFormat) -> str:
    """The text of ``days`` since 1970-01-01, to the microsecond: of a date ISO 8601; of other formats as they are."""
    day = math.floor(days)
    microseconds = round((days - day) * 86_400_000_000)
    if microseconds == 86_400_000_000:
        day, microseconds = day + 1, 0
    seconds, fraction = divmod(microseconds, 1_000_000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    clock += f".{fraction:06}" if fraction else ""
    if form == "time":
        return clock
    found = date.fromordinal(min(max(day, FIRST_DAY), LAST_DAY) + _EPOCH).isoformat()
    if microseconds:
        return f"{found}T{clock}"
    if form in MONTHLY and found.endswith("-01"):
        found = found[:7]
    if form == "yyyymmdd" or (form == "yyyymm" and len(found) == len("2020-01")):
        return found.replace("-", "")
    return found


_remembered = lru_cache(4096)(parse)  # clients repeat dates, and matching one takes 5 microseconds


@lru_cache
def _compiled(form: DateFormat) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, _FLAGS) for pattern in PATTERNS[form])


def _days(parts: Mapping[str, str | None], form: DateFormat) -> float | None:
    """Days since 1970-01-01 of the ``parts`` that a pattern has found; None if they are not a date."""
    nanoseconds = _nanoseconds(parts) if parts.get("hour") else 0
    if nanoseconds is None:
        return None
    passed, rest = divmod(nanoseconds, NANOSECONDS)
    if form == "time":
        return rest / NANOSECONDS
    try:
        day = date(_year(parts["year"]), _month(parts), int(parts.get("day") or 1)).toordinal()
    except ValueError:
        return None
    day += passed - _EPOCH
    return day + rest / NANOSECONDS if FIRST_DAY <= day <= LAST_DAY else None


def _year(text: str | None) -> int:
    assert text is not None  # noqa: S101 - every pattern of a date has a year
    year = int(text.lstrip("'"))
    return year if len(text) == 4 else year + (1900 if year >= FIRST_YEAR % 100 else 2000)


def _month(parts: Mapping[str, str | None]) -> int:
    if quarter := parts.get("quarter"):
        return int(quarter) * 3 - 2
    text = parts["month"]
    assert text is not None  # noqa: S101 - every other pattern of a date has a month
    return int(text) if text.isdigit() else MONTHS.index(text[:3].lower()) + 1


def _nanoseconds(parts: Mapping[str, str | None]) -> int | None:
    """Since midnight in UTC: below 0 or beyond a day for another day in UTC. None if they are not a time of day."""
    half = parts["half"]
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if half is None and parts["minute"] is None:
        return None
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    offset = _offset_minutes(parts["zone"] or "")
    if hour > 23 or minute > 59 or second > 59 or offset is None:
        return None
    fraction = int((parts["fraction"] or "").ljust(9, "0"))
    return (((hour * 60 + minute - offset) * 60) + second) * 1_000_000_000 + fraction


def _offset_minutes(zone: str) -> int | None:
    if zone[:1] not in ("+", "-"):
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
