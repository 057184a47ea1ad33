"""How a text is read as a date or a time of day, in training and in serving: as days since 1970-01-01.

Training reads the distinct texts of a column with `parse`, those of the most common layouts with numpy. The service
reads single texts with `days_of`. Both give the same float64: the number of the day plus the share of the day that has
passed. Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
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

MAX_LETTERS: Final = 96
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NANOSECONDS: Final = 86_400_000_000_000  # of a day
LAST_DAY: Final = date.max.toordinal() - date(1970, 1, 1).toordinal()
FIRST_DAY: Final = date.min.toordinal() - date(1970, 1, 1).toordinal()
# Years of two digits are 1969 to 2068, as POSIX reads them: https://pubs.opengroup.org/onlinepubs/9799919799/functions/strptime.html
FIRST_YEAR: Final = 1969
# Abbreviations of time zones, with minutes from UTC; not those of several zones, as CST and IST.
_ABBREVIATED: Final = (
    *((0, "z ut utc gmt wet"), (60, "west cet mez"), (120, "cest mesz eet"), (180, "eest msk"), (540, "jst kst")),
    *((-300, "est cdt"), (-240, "edt"), (-360, "mdt"), (-420, "mst pdt"), (-480, "pst akdt"), (-540, "akst")),
    *((-600, "hst"), (480, "awst"), (600, "aest"), (660, "aedt"), (720, "nzst"), (780, "nzdt")),
)
ZONES: Final[Mapping[str, int]] = MappingProxyType(
    {name: minutes for minutes, names in _ABBREVIATED for name in names.split()}
)

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
# After an offset, JavaScript writes the zone's name, and Java its place.
_NAMED: Final = r"(?: [(][a-z -]+[)]|\[[a-z_+/-]+\])?"
_ZONE: Final = (
    f"(?P<zone>(?:utc|gmt)?[-+][0-9]{{2}}(?::?[0-9]{{2}})?|(?:utc|gmt)[-+][0-9](?::[0-9]{{2}})?|{'|'.join(ZONES)}|"
    f"[a-z]+(?:/[a-z0-9_+-]+){{1,2}}){_NAMED}"
)


def _clock(mark: str) -> str:
    """The regular expression of a time of day with a ``mark`` between hours, minutes and seconds."""
    return (
        f"(?P<hour>[0-9]{{1,2}})(?:{mark}(?P<minute>[0-9]{{2}})(?:{mark}(?P<second>[0-9]{{2}})"
        "(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
        f"(?: ?(?P<half>[ap][.]?m[.]?))??(?: ?{_ZONE})?"
    )


_CLOCK: Final = _clock(":")
_TIME: Final = f"(?:(?:t|:|,? +){_clock('[:.]')})?"  # with points as well after a date, as Oracle writes it
# They match a stripped text in full. Their groups are named in `_days`, `_nanoseconds` and `_offset_s`.
_FLAGS: Final = re.IGNORECASE | re.ASCII
_YEAR_MONTH_DAY: Final = f"{_WEEKDAY}{_LONG_YEAR}{_BETWEEN}{_MONTH}{_BETWEEN}{_DAY}{_TIME}"
_WEEK: Final = f"{_LONG_YEAR}-?w(?P<week>[0-9]{{2}})(?:-?(?P<weekday>[1-7]))?"
_BASIC: Final = (
    f"{_LONG_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})t"
    f"(?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}})(?:(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?)?"
    f"(?:{_ZONE})?"
)
_ISO: Final = (_YEAR_MONTH_DAY, _BASIC, _WEEK)
_YEAR_MONTH: Final = f"{_LONG_YEAR}(?:[-/m]| +){_MONTH}"
_QUARTER: Final = "q(?P<quarter>[1-4])"
_YEAR_QUARTER: Final = f"{_LONG_YEAR}(?:[-/]| *){_QUARTER}"
# A date in ISO 8601 is read in every column of dates, and a month in every column of months.
PATTERNS: Final[Mapping[DateFormat, tuple[str, ...]]] = MappingProxyType(
    {
        "year-month-day": _ISO,
        "day-month-year": (
            f"{_WEEKDAY}{_DAY}{_BETWEEN}{_MONTH}{_BETWEEN}{_YEAR}{_TIME}",
            f"{_DAY}{_NAMED_MONTH}{_YEAR}{_TIME}",  # as SAS writes it
            *_ISO,
        ),
        "month-day-year": (
            f"{_WEEKDAY}{_MONTH}{_BETWEEN}{_DAY}{_BETWEEN}{_YEAR}{_TIME}",
            f"{_WEEKDAY}{_NAMED_MONTH} +{_DAY} +{_CLOCK} +{_LONG_YEAR}",  # as C's ctime writes it
            *_ISO,
        ),
        "year-month": (_YEAR_MONTH, _YEAR_QUARTER, *_ISO),
        "month-year": (
            f"(?P<month>[0-9]{{1,2}})[-/]{_LONG_YEAR}",
            f"{_NAMED_MONTH}{_BETWEEN}{_LONG_YEAR}",
            f"{_NAMED_MONTH}(?:-| ?')(?P<year>[0-9]{{2}})",
            f"{_QUARTER}(?:[-/]| *){_LONG_YEAR}",
            _YEAR_MONTH,
            _YEAR_QUARTER,
            *_ISO,
        ),
        "yyyymmdd": (f"{_LONG_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})(?:[.]0)?", *_ISO),
        "yyyymm": (f"{_LONG_YEAR}(?P<month>[0-9]{{2}})(?:[.]0)?", _YEAR_MONTH, _YEAR_QUARTER, *_ISO),
        "time": (_CLOCK,),
    }
)


def days_of(text: str, form: DateFormat) -> float | None:
    """Days since 1970-01-01 of a stripped ``text``; of a time, the share of the day. None if it is not one.

    A time with a zone is converted to UTC, and one without is taken as it is. The zone is an offset, one of `ZONES`, or
    a place such as Europe/Berlin.
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
    day = None
    if form != "time":
        try:
            day = _date(parts)
        except ValueError:
            return None
    if zone := parts.get("zone"):
        offset_s = _offset_s(zone, day, nanoseconds)
        if offset_s is None:
            return None
        nanoseconds -= offset_s * 1_000_000_000
    passed, rest = divmod(nanoseconds, NANOSECONDS)
    if day is None:
        return rest / NANOSECONDS
    number = day.toordinal() + passed - _EPOCH
    return number + rest / NANOSECONDS if FIRST_DAY <= number <= LAST_DAY else None


def _date(parts: Mapping[str, str | None]) -> date:
    """The date, or the first one of a month, quarter or week. Raises `ValueError`."""
    year = _year(parts["year"])
    if week := parts.get("week"):
        return date.fromisocalendar(year, int(week), int(parts["weekday"] or 1))
    return date(year, _month(parts), int(parts.get("day") or 1))


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
    """Since midnight. None if they are not a time of day."""
    half = parts.get("half")
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if half is None and parts["minute"] is None:
        return None
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = int((parts["fraction"] or "").ljust(9, "0"))
    return ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction


def _offset_s(zone: str, day: date | None, nanoseconds: int) -> int | None:
    """The seconds from UTC of a time ``zone``; None if there is no such zone.

    Those of a place depend on the ``day`` and the ``nanoseconds`` since midnight; without a day there are none.
    """
    if "/" in zone:
        return None if day is None else _offset_of_place(zone, day, nanoseconds // 1_000_000_000)
    minutes = ZONES.get(zone.lower())
    if minutes is not None:
        return minutes * 60
    hours, _, rest = zone.lstrip("utcgmUTCGM+-").partition(":")
    hour, minute = int(hours[:2]), int(rest or hours[2:] or 0)
    return (hour * 60 + minute) * (-60 if "-" in zone else 60) if hour <= 23 and minute <= 59 else None


def _offset_of_place(name: str, day: date, second: int) -> int | None:
    """The same of a place in the time zone database, such as Europe/Berlin; None if it has no such place."""
    if name not in _places():
        return None
    moment = datetime.combine(day, time(), _place(name)) + timedelta(seconds=second)
    offset = moment.utcoffset()
    return None if offset is None else offset.days * 86_400 + offset.seconds


@cache
def _places() -> frozenset[str]:
    import zoneinfo  # noqa: PLC0415 - few tables need it, and it is read from files

    return frozenset(zoneinfo.available_timezones())


@cache  # of `_places`
def _place(name: str) -> tzinfo:
    import zoneinfo  # noqa: PLC0415 - see `_places`

    return zoneinfo.ZoneInfo(name)
