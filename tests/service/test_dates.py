"""Texts as dates and times, with Python's datetime as the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import dates
from service.dates import EXAMPLES, DateFormat, days_of, days_of_ticks, text_of


def moment_of(year: int, *parts: int) -> datetime:
    return datetime(year, *parts)  # type: ignore[arg-type]  # noqa: DTZ001 - of integers, and without a zone as in the table


EPOCH = moment_of(1970, 1, 1)
JANUARY = moment_of(2020, 1, 5)


def days_since(moment: datetime) -> float:
    since = moment - EPOCH
    return since.days + (since.seconds * 1_000_000 + since.microseconds) / 86_400_000_000


@pytest.mark.parametrize(
    ("form", "text", "moment"),
    [
        ("year-month-day", "2020-01-05", JANUARY),
        ("year-month-day", "2020-1-5", JANUARY),
        ("year-month-day", "2020/01/05", JANUARY),
        ("year-month-day", "2020.01.05", JANUARY),
        ("year-month-day", "2020 Jan 05", JANUARY),
        ("year-month-day", "2020-01-05T17:30", JANUARY.replace(hour=17, minute=30)),
        ("year-month-day", "2020-01-05 17:30:15", JANUARY.replace(hour=17, minute=30, second=15)),
        (
            "year-month-day",
            "2020-01-05T17:30:15.25Z",
            JANUARY.replace(hour=17, minute=30, second=15, microsecond=250000),
        ),
        (
            "year-month-day",
            "2020-01-05t17:30:15,25z",
            JANUARY.replace(hour=17, minute=30, second=15, microsecond=250000),
        ),
        ("year-month-day", "2020-01-05 17:30:00 UTC", JANUARY.replace(hour=17, minute=30)),
        ("year-month-day", "2020-01-05T01:30+02:00", moment_of(2020, 1, 4, 23, 30)),
        ("year-month-day", "2020-01-05T23:30-0130", moment_of(2020, 1, 6, 1)),
        ("year-month-day", "2020-01-05T01:30+02", moment_of(2020, 1, 4, 23, 30)),
        ("year-month-day", "2020-01-05 10:00 EST", JANUARY.replace(hour=15)),
        ("year-month-day", "2020-01-05 10:00 AM pst", JANUARY.replace(hour=18)),
        ("year-month-day", "2020-07-05 10:00 CEST", moment_of(2020, 7, 5, 8)),
        ("year-month-day", "2020-01-05 10:00 GMT+2", JANUARY.replace(hour=8)),
        ("year-month-day", "2020-01-05 10:00 UTC-5:30", JANUARY.replace(hour=15, minute=30)),
        ("year-month-day", "2020-01-05 10:00 Europe/Berlin", JANUARY.replace(hour=9)),
        ("year-month-day", "2020-07-05 10:00 Europe/Berlin", moment_of(2020, 7, 5, 8)),
        ("year-month-day", "2020-10-25 02:30 Europe/Berlin", moment_of(2020, 10, 25, 0, 30)),  # the first of two
        ("year-month-day", "2020-01-05 10:00 America/Argentina/Buenos_Aires", JANUARY.replace(hour=13)),
        ("year-month-day", "2020-01-05T10:00+01:00[Europe/Berlin]", JANUARY.replace(hour=9)),
        ("year-month-day", "20200105T173015.5Z", JANUARY.replace(hour=17, minute=30, second=15, microsecond=500_000)),
        ("year-month-day", "20200105T1730+0100", JANUARY.replace(hour=16, minute=30)),
        ("year-month-day", "2020-W01", moment_of(2019, 12, 30)),
        ("year-month-day", "2020W017", JANUARY),
        ("year-month-day", "2020-W53-7", moment_of(2021, 1, 3)),
        ("year-month-day", "0001-01-01", moment_of(1, 1, 1)),
        ("year-month-day", "9999-12-31", moment_of(9999, 12, 31)),
        ("year-month-day", "2020-02-29", moment_of(2020, 2, 29)),
        ("day-month-year", "05.01.2020", JANUARY),
        ("day-month-year", "5/1/2020", JANUARY),
        ("day-month-year", "5-1-2020", JANUARY),
        ("day-month-year", "5 Jan 2020", JANUARY),
        ("day-month-year", "5th January 2020", JANUARY),
        ("day-month-year", "05-JAN-20", JANUARY),
        ("day-month-year", "05.01.68", moment_of(2068, 1, 5)),
        ("day-month-year", "05.01.69", moment_of(1969, 1, 5)),
        ("day-month-year", "Sun, 05 Jan 2020 17:30:00 GMT", JANUARY.replace(hour=17, minute=30)),
        ("day-month-year", "05/Jan/2020:17:30:00 -0700", moment_of(2020, 1, 6, 0, 30)),
        ("day-month-year", "Sun, 05 Jan 2020 17:30:00 +0100", JANUARY.replace(hour=16, minute=30)),
        ("day-month-year", "Sun, 5 Jan 2020 17:30:00 +0100 (CET)", JANUARY.replace(hour=16, minute=30)),
        ("day-month-year", "05JAN2020", JANUARY),
        ("day-month-year", "5jan20:17:30:00", JANUARY.replace(hour=17, minute=30)),
        (
            "day-month-year",
            "05-JAN-20 05.30.15.250000 PM",
            JANUARY.replace(hour=17, minute=30, second=15, microsecond=250000),
        ),
        ("day-month-year", "5/1/2020 17.30", JANUARY.replace(hour=17, minute=30)),
        ("day-month-year", "2020-01-05", JANUARY),
        ("month-day-year", "01/05/2020", JANUARY),
        ("month-day-year", "1/5/2020 0:00", JANUARY),
        ("month-day-year", "01/05/2020 12:00 AM", JANUARY),
        ("month-day-year", "01/05/2020 12:15:01 p.m.", JANUARY.replace(hour=12, minute=15, second=1)),
        ("month-day-year", "01/05/2020, 5PM", JANUARY.replace(hour=17)),
        ("month-day-year", "Jan 5, 2020", JANUARY),
        ("month-day-year", "Jan. 5, 2020", JANUARY),
        ("month-day-year", "Sunday, January 5th, 2020", JANUARY),
        ("month-day-year", "Sept 5 2020", moment_of(2020, 9, 5)),
        ("month-day-year", "Sun Jan  5 17:30:00 2020", JANUARY.replace(hour=17, minute=30)),
        ("month-day-year", "Sun Jan 05 18:30:00 +0100 2020", JANUARY.replace(hour=17, minute=30)),
        ("month-day-year", "Sun Jan  5 12:30:00 EST 2020", JANUARY.replace(hour=17, minute=30)),
        (
            "month-day-year",
            "Sun Jan 05 2020 18:30:00 GMT+0100 (Central European Standard Time)",
            JANUARY.replace(hour=17, minute=30),
        ),
        ("month-day-year", "2020-01-05T17:30", JANUARY.replace(hour=17, minute=30)),
        ("year-month", "2018-03", moment_of(2018, 3, 1)),
        ("year-month", "2018/3", moment_of(2018, 3, 1)),
        ("year-month", "2018 March", moment_of(2018, 3, 1)),
        ("year-month", "2018-03-17", moment_of(2018, 3, 17)),
        ("year-month", "2018Q1", moment_of(2018, 1, 1)),
        ("year-month", "2018 q4", moment_of(2018, 10, 1)),
        ("year-month", "2018M03", moment_of(2018, 3, 1)),
        ("year-month", "2018m3", moment_of(2018, 3, 1)),
        ("month-year", "Q2 2018", moment_of(2018, 4, 1)),
        ("month-year", "Mar-2018", moment_of(2018, 3, 1)),
        ("month-year", "march 2018", moment_of(2018, 3, 1)),
        ("month-year", "Mar '18", moment_of(2018, 3, 1)),
        ("month-year", "Mar-18", moment_of(2018, 3, 1)),
        ("month-year", "03/2018", moment_of(2018, 3, 1)),
        ("month-year", "2018-03", moment_of(2018, 3, 1)),
        ("yyyymmdd", "20180317", moment_of(2018, 3, 17)),
        ("yyyymmdd", "20180317.0", moment_of(2018, 3, 17)),
        ("yyyymmdd", "2018-03-17", moment_of(2018, 3, 17)),
        ("yyyymm", "201803", moment_of(2018, 3, 1)),
        ("yyyymm", "2018-03", moment_of(2018, 3, 1)),
        ("time", "17:30", EPOCH.replace(hour=17, minute=30)),
        ("time", "7:30:15.5", EPOCH.replace(hour=7, minute=30, second=15, microsecond=500_000)),
        ("time", "12:05 am", EPOCH.replace(minute=5)),
        ("time", "5 PM", EPOCH.replace(hour=17)),
        ("time", "00:30+01:00", EPOCH.replace(hour=23, minute=30)),
        ("time", "17:30 CET", EPOCH.replace(hour=16, minute=30)),
    ],
)
def test_a_text_is_read_as_its_moment(form: DateFormat, text: str, moment: datetime) -> None:
    assert days_of(text, form) == days_since(moment)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("year-month-day", ""),
        ("year-month-day", "2020-13-05"),
        ("year-month-day", "2019-02-29"),
        ("year-month-day", "0000-01-01"),
        ("year-month-day", "10000-01-01"),
        ("year-month-day", "20-01-05"),
        ("year-month-day", "18262"),
        ("year-month-day", "2020-01"),
        ("year-month-day", "2020-01-05T24:00"),
        ("year-month-day", "2020-01-05T10:60"),
        ("year-month-day", "2020-01-05T10:00:60"),
        ("year-month-day", "2020-01-05T10"),
        ("year-month-day", "2020-01-05T10:00+24:00"),
        ("year-month-day", "2020-01-05T10:00 CST"),
        ("year-month-day", "2020-01-05T10:00 IST"),
        ("year-month-day", "2020-01-05T10:00 Mars/Olympus"),
        ("year-month-day", "2020-01-05T10:00 europe/berlin"),
        ("year-month-day", "2020-01-05T10:00 ../../etc/passwd"),
        ("year-month-day", "2020-01-05T10:00 GMT+24"),
        ("year-month-day", "2020-01-05T10:00 Z (Zulu)x"),
        ("year-month-day", "0001-01-01 00:00 Asia/Tokyo"),
        ("year-month-day", "9999-12-31 23:59 America/New_York"),
        ("year-month-day", "2019-W53"),
        ("year-month-day", "2020-W00"),
        ("year-month-day", "20200105T10"),
        ("year-month-day", "0001-01-01T00:00+01:00"),
        ("year-month-day", "9999-12-31T23:30-01:00"),
        ("year-month-day", "2020-01-05T10:00:00.1234567890"),
        ("year-month-day", "2020-01-05\n"),
        ("year-month-day", "\uff12020-01-05"),
        ("year-month-day", " 2020-01-05"),
        ("year-month-day", "2020-01-05" + " " * 90 + "10:00"),
        ("day-month-year", "01/13/2020"),
        ("day-month-year", "31 Janu 2020"),
        ("day-month-year", "5 \u017fep 2020"),
        ("day-month-year", "1.2.3"),
        ("month-day-year", "13/01/2020"),
        ("month-day-year", "01/05/2020 13:00 PM"),
        ("month-day-year", "01/05/2020 0:30 AM"),
        ("month-day-year", "Jan 5"),
        ("month-year", "12.2018"),
        ("month-year", "Mar 18"),
        ("yyyymmdd", "20181332"),
        ("yyyymmdd", "2018031"),
        ("yyyymm", "201813"),
        ("time", "24:00"),
        ("time", "17.30"),
        ("year-month-day", "2020-01-05-05:00"),
        ("year-month-day", "2020-01-05 10.5"),
        ("time", "10:00 Europe/Berlin"),
        ("time", "1:2"),
        ("time", "2020-01-05T10:00"),
        ("time", "12"),
    ],
)
def test_what_is_no_date_is_none(form: DateFormat, text: str) -> None:
    assert days_of(text, form) is None


@pytest.mark.parametrize("form", EXAMPLES)
def test_each_format_has_an_example_that_it_reads(form: DateFormat) -> None:
    assert days_of(EXAMPLES[form], form) is not None


moments = st.datetimes()
zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments)
def test_iso_8601_is_read_exactly(moment: datetime) -> None:
    assert days_of(moment.isoformat(), "year-month-day") == days_since(moment)
    assert days_of(moment.isoformat(sep=" "), "day-month-year") == days_since(moment)


@given(st.datetimes(moment_of(2, 1, 1), moment_of(9998, 12, 31)), zones)
def test_a_zone_is_converted_to_utc(moment: datetime, zone: timezone) -> None:
    aware = moment.replace(tzinfo=zone)
    assert days_of(aware.isoformat(), "year-month-day") == days_since(aware.astimezone(UTC).replace(tzinfo=None))


@pytest.mark.parametrize("place", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@given(st.datetimes(moment_of(1900, 1, 1), moment_of(2100, 1, 1)))
def test_a_place_is_converted_to_utc(place: str, moment: datetime) -> None:
    utc = moment.replace(tzinfo=ZoneInfo(place)).astimezone(UTC).replace(tzinfo=None)
    assert days_of(f"{moment} {place}", "year-month-day") == days_since(utc)


@given(st.dates())
def test_weeks_are_those_of_iso_8601(day: date) -> None:
    year, week, weekday = day.isocalendar()
    if year <= 9999:
        text = f"{year:04}-W{week:02}"
        assert days_of(f"{text}-{weekday}", "year-month-day") == days_of(day.isoformat(), "year-month-day")


def test_each_abbreviation_has_its_offset() -> None:
    for name, minutes in dates.ZONES.items():
        moment = JANUARY.replace(hour=12) - timedelta(minutes=minutes)
        assert days_of(f"2020-01-05 12:00 {name.upper()}", "year-month-day") == days_since(moment)


@given(
    st.datetimes(moment_of(1000, 1, 1)),
    st.sampled_from(("%d.%m.%Y %H:%M:%S", "%d %B %Y %I:%M:%S %p", "%A, %d-%b-%Y %H:%M:%S")),
)
def test_days_come_first(moment: datetime, pattern: str) -> None:
    moment = moment.replace(microsecond=0)
    assert days_of(moment.strftime(pattern), "day-month-year") == days_since(moment)


@given(st.datetimes(moment_of(1900, 1, 1), moment_of(2100, 1, 1)))
def test_the_text_of_days_reads_back(moment: datetime) -> None:
    text = text_of(days_since(moment), "day-month-year")
    assert datetime.fromisoformat(text) == pytest.approx(moment, abs=timedelta(microseconds=1))


@pytest.mark.parametrize("form", EXAMPLES)
@pytest.mark.parametrize("days", [0.0, 17_591.0, 17_607.0, 17_607.5, -1.0])
def test_the_text_of_a_format_is_read_by_it(form: DateFormat, days: float) -> None:
    days = days % 1 if form == "time" else days
    assert days_of(text_of(days, form), form) == days


def test_texts_are_as_clients_write_them() -> None:
    assert text_of(17_591.0, "yyyymm") == "201803"
    assert text_of(17_591.0, "month-year") == "2018-03"
    assert text_of(17_591.75, "month-day-year") == "2018-03-01T18:00:00"
    assert text_of(0.5 + 1e-11, "time") == "12:00:00.000001"
    assert text_of(1 - 1e-13, "year-month-day") == "1970-01-02"


@given(st.integers(dates.FIRST_DAY * 86_400, dates.LAST_DAY * 86_400))
def test_ticks_are_the_days_of_their_text(seconds: int) -> None:
    text = (EPOCH + timedelta(seconds=seconds)).isoformat()
    for factor in (1, 1000, 1_000_000, 1_000_000_000):
        assert days_of_ticks(seconds * factor, 86_400 * factor) == days_of(text, "year-month-day")


def test_a_long_text_is_not_remembered() -> None:
    before = dates._remembered.cache_info().currsize
    assert days_of("2020-01-05" * 1000, "year-month-day") is None
    assert dates._remembered.cache_info().currsize == before


def test_places_are_known_on_a_system_without_their_database() -> None:
    program = "from service.dates import days_of; print(days_of('2020-07-05 10:00 Europe/Berlin', 'year-month-day'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) == days_since(moment_of(2020, 7, 5, 8))
