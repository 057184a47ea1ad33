"""Columns that are recognised as dates, those that are not, and what is said of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from service.dates import DateFormat, days_of
from tests.training.data.errors import message_of
from training.data.dataset import Column, Dataset
from training.data.tables import table_file
from training.data.tables.options import TableOptions

ROWS = 24
TARGET = TableOptions(("label",))


def load(path: Path, texts: list[str], options: TableOptions = TARGET, name: str = "x") -> Dataset:
    """The ``texts``, over and over, as column ``name`` beside a number."""
    rows = [f'"{texts[row % len(texts)]}",{row % 5}.5,{"yes" if row % 3 else "no"}' for row in range(ROWS)]
    path.write_text("\n".join([f"{name},size,label", *rows]) + "\n")
    return table_file.load(path, options)


def notes_on(dataset: Dataset, name: str = "x") -> list[str]:
    return [note for note in dataset.notes if note.startswith(f"column {name!r}")]


@pytest.mark.parametrize(
    ("texts", "form", "has_time"),
    [
        (["2020-01-05", "2021-02-06"], "year-month-day", False),
        (["2020/1/5", "2021/2/6"], "year-month-day", False),
        (["2020-01-05T10:00:00Z", "2021-02-06T11:00:00.5+02:00"], "year-month-day", True),
        (["2020-01-05 00:00:00", "2021-02-06 00:00:00"], "year-month-day", False),
        (["2020-01-05", "2021-02-06 12:00"], "year-month-day", True),
        (["05.01.2020", "13.02.2021"], "day-month-year", False),
        (["05/01/2020", "13/02/2021"], "day-month-year", False),
        (["01/05/2020", "02/13/2021"], "month-day-year", False),
        (["Jan 5, 2020", "Feb 6, 2021"], "month-day-year", False),
        (["5 Jan 2020", "6 February 2021"], "day-month-year", False),
        (["Sunday, 5 Jan 2020", "Mon, 8 Feb 2021"], "day-month-year", False),
        (["Mar-2018", "Apr-2018"], "month-year", False),
        (["03/2018", "04/2018"], "month-year", False),
        (["2018-03", "2018-04"], "year-month", False),
        (["10:30", "11:45:10"], "time", True),
        (["10:30 PM", "1:45 am"], "time", True),
        (["2020-01-05 10:00 EST", "2021-02-06 10:00 Europe/Berlin"], "year-month-day", True),
        (["Sun, 05 Jan 2020 10:00:00 +0100 (CET)", "Sat, 06 Feb 2021 10:00:00 GMT"], "day-month-year", True),
        (["05JAN2020", "06FEB2021:10:00:00"], "day-month-year", True),
        (["05-JAN-2020 10.00.00.000000 AM", "06-FEB-2021 11.00.00.000000 PM"], "day-month-year", True),
        (["2020M01", "2020M12"], "year-month", False),
        (["2020-W05", "2021-W06"], "year-month-day", False),
        (["20200105T100000", "20210206T110000Z"], "year-month-day", True),
        (["1/1/2011 0:00", "2/28/2011 13:00"], "month-day-year", True),
    ],
)
def test_dates_are_recognised(path: Path, texts: list[str], form: DateFormat, has_time: bool) -> None:
    dataset = load(path, texts)
    assert dataset.columns[0] == Column("x", "datetime", format=form, has_time=has_time)
    assert dataset.inputs.dtype == np.float64
    assert dataset.inputs[:, 0].tolist() == [days_of(texts[row % len(texts)], form) for row in range(ROWS)]
    assert notes_on(dataset) == []


@pytest.mark.parametrize(
    "texts",
    [
        ["10.0.0.1", "10.0.0.2"],
        ["1.2.3", "1.2.4"],
        ["2001-02", "2002-03", "2003-04"],  # seasons
        ["12-20-30-40", "1-2-3-4"],
        ["may", "june"],
        ["Jan 5", "Feb 6"],
        ["25:00", "99:99"],
        ["May", "Mayer 2020"],
        ["020-1234567", "030-7654321"],
    ],
)
def test_what_only_resembles_dates_stays_text(path: Path, texts: list[str]) -> None:
    dataset = load(path, texts)
    assert dataset.columns[0].type == "categorical"
    assert notes_on(dataset) == []


@pytest.mark.parametrize(
    ("texts", "order", "form", "note"),
    [
        (["01/02/2020", "03/04/2021"], "auto", "month-day-year", "if the day comes first, use --date-order day"),
        (["01-02-2020", "03-04-2021"], "auto", "month-day-year", "if the day comes first, use --date-order day"),
        (["01.02.2020", "03.04.2021"], "auto", "day-month-year", "if the month comes first, use --date-order month"),
        (["01/02/2020", "03/04/2021"], "day", "day-month-year", "as --date-order says"),
        (["01.02.2020", "03.04.2021"], "month", "month-day-year", "as --date-order says"),
    ],
)
def test_an_ambiguous_order_has_a_note(path: Path, texts: list[str], order: str, form: DateFormat, note: str) -> None:
    dataset = load(path, texts, TableOptions(("label",), date_order=order))
    assert dataset.columns[0].format == form
    assert notes_on(dataset) == [f"column 'x' has dates such as {texts[0]!r}, read as {form}; {note}"]


def test_the_data_outweigh_the_order_that_is_asked_for(path: Path) -> None:
    dataset = load(path, ["01/02/2020", "13/04/2021"], TableOptions(("label",), date_order="month"))
    assert dataset.columns[0].format == "day-month-year"
    assert notes_on(dataset) == []


@pytest.mark.parametrize(
    ("texts", "form"), [(["01/31/68", "02/13/99"], "month-day-year"), (["5JAN20", "13FEB21:10:00"], "day-month-year")]
)
def test_years_of_two_digits_have_a_note(path: Path, texts: list[str], form: DateFormat) -> None:
    assert notes_on(load(path, texts)) == [
        f"column 'x' has dates such as {texts[0]!r}, read as {form}; years of two digits are 1969 to 2068"
    ]


def test_some_unreadable_values_are_missing_with_a_note(path: Path) -> None:
    texts = [f"2020-{month:02}-{day:02}" for month in range(1, 9) for day in range(1, 9)]
    rows = "".join(f"{text},{'yes' if row % 3 else 'no'}\n" for row, text in enumerate(["someday", "", "NA", *texts]))
    path.write_text(f"x,label\n{rows}")
    dataset = table_file.load(path, TARGET)
    assert dataset.columns[0] == Column("x", "datetime", missing=True, format="year-month-day")
    assert np.isnan(dataset.inputs[:3, 0]).all()
    assert "x: 2 missing (empty 1, 'NA' 1)" in dataset.notes
    assert notes_on(dataset) == [
        "column 'x' has texts that are not such dates (1: 'someday'); they are read as missing, and the server rejects "
        "them: send null"
    ]


def test_many_unreadable_values_make_it_text_with_a_note(path: Path) -> None:
    texts = ["2020-01-05", "2020-02-06", "2020-03-07", "someday"]
    dataset = load(path, texts)
    assert dataset.columns[0].type == "categorical"
    assert notes_on(dataset) == [
        "column 'x' has dates such as '2020-01-05', but 25% of its values are not, such as 'someday'; it is read as "
        "strings. To read it as dates, and the others as missing, use --datetime x"
    ]
    dated = load(path, texts, TableOptions(("label",), datetime=("x",)))
    assert dated.columns[0] == Column("x", "datetime", missing=True, format="year-month-day")


@pytest.mark.parametrize("pattern", ["2020-01-{:02} 10:00 {}", "Sun Jan {} 10:00:00 {} 2020", "{}/1/2020 9:00 AM {}"])
def test_a_zone_of_several_names_has_a_note(path: Path, pattern: str) -> None:
    found = load(path, [pattern.format(day + 1, "IST") for day in range(24)])
    assert notes_on(found) == [
        "column 'x' has times in IST, which names no time zone or several, and is read as strings. Write offsets such "
        "as +05:30, or leave the zone out if it is the same in all rows"
    ]


def test_equal_moments_in_different_zones_are_equal(path: Path) -> None:
    texts = ["2020-01-05T10:00+01:00", "2020-01-05 09:00 UTC", "2020-01-05 04:00 EST", "2020-01-05 10:00 Europe/Berlin"]
    found = load(path, [*texts, "2020-01-06 10:00 CET", "2020-01-07 10:00 GMT+1"] * 4)
    assert found.inputs[:4, 0].tolist() == [days_of("2020-01-05T09:00", "year-month-day")] * 4


def test_a_column_named_as_dates_that_has_none_is_an_error(path: Path) -> None:
    load(path, ["cook", "nurse"])
    assert message_of(table_file.load, path, TableOptions(("label",), datetime=("x",))) == (
        "column 'x' has no dates that can be read, and is named in --datetime; leave it out there"
    )


def test_the_first_dates_may_come_late(path: Path) -> None:
    path.write_text(
        "x,label\n" + "".join(f"{'' if row < 1200 else f'2020-01-{row % 9 + 1:02}'},{row % 2}\n" for row in range(2400))
    )
    assert table_file.load(path, TARGET).columns[0].type == "datetime"


def test_errors_name_the_columns_that_may_be_dates(path: Path) -> None:
    path.write_text("x,label\n" + "".join(f"2020-01-{row:02},{'yes' if row % 3 else 'no'}\n" for row in range(25, 37)))
    assert [note for note in table_file.load(path, TARGET).notes if note.endswith("use --datetime x")]
    path.write_text(path.read_text().replace(",", ",1e99,").replace("x,1e99", "x,rate"))
    first, second, _ = message_of(table_file.load, path, TARGET).split("\n- ")[1:]
    assert first.startswith("column 'rate' has 1e+99")
    assert second.endswith("use --datetime x")


def test_a_column_that_is_left_out_and_may_be_dates_has_a_note(path: Path) -> None:
    rows = "".join(f"2020-01-{row:02},{row}.5,{'yes' if row % 3 else 'no'}\n" for row in range(25, 37))
    path.write_text(f"x,size,label\n{rows}")
    dataset = table_file.load(path, TARGET)
    assert [each.name for each in dataset.columns] == ["size"]
    assert [note for note in dataset.notes if note.endswith("use --datetime x")]


def test_categorical_keeps_the_texts(path: Path) -> None:
    dataset = load(path, ["2020-01-05", "2021-02-06"], TableOptions(("label",), categorical=("x",)))
    assert dataset.columns[0] == Column("x", "categorical", categories=("2020-01-05", "2021-02-06"))


@pytest.mark.parametrize("name", ["date", "order_date", "OrderDate", "yyyymm", "Month"])
@pytest.mark.parametrize(("texts", "form"), [(["20180301", "20181231"], "yyyymmdd"), (["201803", "201812"], "yyyymm")])
def test_digits_are_dates_if_the_name_says_so(path: Path, name: str, texts: list[str], form: DateFormat) -> None:
    dataset = load(path, texts, name=name)
    assert dataset.columns[0] == Column(name, "datetime", format=form)
    assert dataset.inputs[0, 0] == days_of(texts[0], form)
    assert notes_on(dataset, name) == [
        f"column {name!r} has dates such as {texts[0]}, read as {form}; for numbers, give it another name"
    ]


def test_digits_under_another_name_are_numbers_with_a_note(path: Path) -> None:
    dataset = load(path, ["20180301", "20181231"], name="updated")
    assert dataset.columns[0].type == "numeric"
    assert notes_on(dataset, "updated") == [
        "column 'updated' has integers that may be dates written as yyyymmdd, such as 20180301; they are read as "
        "numbers. To read them as dates, use --datetime updated"
    ]
    assert load(path, ["20180301", "20181231"], TableOptions(("label",), datetime=("updated",)), "updated").columns[
        0
    ] == Column("updated", "datetime", format="yyyymmdd")


@pytest.mark.parametrize("texts", [["20180301", "20181332"], ["1.5", "2"], ["5", "28"], ["201803", "201813"]])
def test_numbers_are_no_dates_whatever_the_name(path: Path, texts: list[str]) -> None:
    dataset = load(path, texts, name="date")
    assert dataset.columns[0].type == "numeric"
    assert notes_on(dataset, "date") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TableOptions(("label",), datetime=("when",)), "--datetime: FILE has no column 'when'; it has x, size, label"),
        (
            TableOptions(("label",), categorical=("x",), datetime=("x",)),
            "'x' is in both --categorical and --datetime, expected one of them",
        ),
        (
            TableOptions(("label",), datetime=("label",)),
            "'label' is in both --target and --datetime, expected one of them",
        ),
    ],
)
def test_wrong_options_are_rejected(path: Path, options: TableOptions, message: str) -> None:
    load(path, ["2020-01-05", "2021-02-06"])
    assert message_of(table_file.load, path, options) == message.replace("FILE", str(path))


MOMENT = datetime(2020, 1, 5, 17, 30, 0, 250_000, tzinfo=UTC)
TEXT = "2020-01-05T17:30:00.25"


@pytest.mark.parametrize(
    ("kind", "value", "form", "text"),
    [
        (pa.date32(), date(2020, 1, 5), "year-month-day", "2020-01-05"),
        (pa.date64(), date(2020, 1, 5), "year-month-day", "2020-01-05"),
        (pa.timestamp("s"), MOMENT.replace(microsecond=0, tzinfo=None), "year-month-day", TEXT[:-3]),
        (pa.timestamp("ms"), MOMENT.replace(tzinfo=None), "year-month-day", TEXT),
        (pa.timestamp("us"), MOMENT.replace(tzinfo=None), "year-month-day", TEXT),
        (pa.timestamp("ns"), MOMENT.replace(tzinfo=None), "year-month-day", TEXT),
        (pa.timestamp("us", "UTC"), MOMENT, "year-month-day", TEXT),
        (pa.timestamp("us", "Asia/Tokyo"), MOMENT, "year-month-day", TEXT),
        (pa.time32("s"), time(17, 30), "time", "17:30"),
        (pa.time32("ms"), time(17, 30, 0, 250_000), "time", "17:30:00.25"),
        (pa.time64("us"), time(17, 30, 0, 250_000), "time", "17:30:00.25"),
        (pa.time64("ns"), time(17, 30, 0, 250_000), "time", "17:30:00.25"),
        (pa.dictionary(pa.int8(), pa.timestamp("us")), MOMENT.replace(tzinfo=None), "year-month-day", TEXT),
    ],
)
def test_arrow_types_are_days(tmp_path: Path, kind: pa.DataType, value: Any, form: DateFormat, text: str) -> None:
    path = tmp_path / "table.parquet"
    values = pa.array([value, None] * 12, kind.value_type if pa.types.is_dictionary(kind) else kind)
    values = values.dictionary_encode() if pa.types.is_dictionary(kind) else values
    parquet.write_table(pa.table({"x": values, "label": ["yes", "no", "no"] * 8}), path)
    dataset = table_file.load(path, TARGET)
    column = dataset.columns[0]
    assert (column.type, column.format, column.missing) == ("datetime", form, True)
    assert dataset.inputs[:2, 0].tolist() == pytest.approx([days_of(text, form), np.nan], abs=0, nan_ok=True)
    zone = [note for note in dataset.notes if "Tokyo" in note]
    assert len(zone) == (getattr(kind, "tz", None) == "Asia/Tokyo")


def test_a_duration_is_a_number_of_days(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    values = pa.array([timedelta(hours=row) for row in range(12)], pa.duration("ms"))
    parquet.write_table(pa.table({"x": values, "label": ["yes", "no", "no"] * 4}), path)
    dataset = table_file.load(path, TARGET)
    assert dataset.columns == (Column("x"),)
    assert dataset.inputs[:, 0].tolist() == [np.float32(row / 24) for row in range(12)]
    assert notes_on(dataset) == ["column 'x' has durations; they are numbers of days, which is also what clients send"]


def test_a_local_time_is_read_in_utc(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    values = pa.array([MOMENT.astimezone(ZoneInfo("Asia/Tokyo")), None] * 6, pa.timestamp("us", "Asia/Tokyo"))
    parquet.write_table(pa.table({"x": values, "label": ["yes", "no", "no"] * 4}), path)
    assert (
        "column 'x' has times in Asia/Tokyo, read in UTC, as the server reads times with a zone"
        in table_file.load(path, TARGET).notes
    )


def test_dates_beyond_the_years_of_python_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    values = pa.array([0, 1, 10**12] * 4, pa.int64()).cast(pa.timestamp("s"))
    parquet.write_table(pa.table({"x": values, "label": ["yes", "no", "no"] * 4}), path)
    dataset = table_file.load(path, TARGET)
    assert dataset.columns[0].missing
    assert "column 'x' has 4 dates beyond the years 1 to 9999, read as missing" in dataset.notes


def test_a_single_date_says_nothing(path: Path) -> None:
    load(path, ["2020-01-05", "2021-02-06"])
    path.write_text(path.read_text().replace("2021-02-06", "2020-01-05"))
    dataset = table_file.load(path, TARGET)
    assert [each.name for each in dataset.columns] == ["size"]
    assert dataset.inputs.dtype == np.float32
    assert "left out, as nothing can be learned from it: 'x' (2020-01-05 in every row)" in dataset.notes


def test_dates_are_a_target_only_as_classes(path: Path) -> None:
    load(path, ["2 am", "6 am", "2 pm"])
    assert table_file.load(path, TableOptions(("x",))).labels == ("2 am", "2 pm", "6 am")
    assert "target 'x' holds dates" in message_of(table_file.load, path, TableOptions(("x",), task="regression"))
    path.write_text("x,size\n" + "".join(f"2020-01-{row % 21 + 10},{row}.5\n" for row in range(63)))
    assert "target 'x' holds dates" in message_of(table_file.load, path, TableOptions(("x",)))
    assert len(table_file.load(path, TableOptions(("x",), task="classification")).labels) == 21


def given(path: Path, texts: list[str], test_texts: list[str], order: str = "auto") -> TableOptions:
    """Options with test rows of their own, beside a table at ``path``."""
    test = path.with_name("test.csv")
    load(test, test_texts)
    load(path, texts)
    return TableOptions(("label",), date_order=order, test=test)


def test_given_rows_are_read_by_the_format_of_the_training_rows(path: Path) -> None:
    options = given(path, ["01/13/2020", "02/03/2021"], ["03/04/2021 12:00", "05/06/2022"])
    dataset = table_file.load(path, options)
    assert dataset.columns[0] == Column("x", "datetime", format="month-day-year")
    assert dataset.inputs[ROWS, 0] == days_of("2021-03-04 12:00", "year-month-day")


@pytest.mark.parametrize(
    ("texts", "way_out"),
    [
        (["01/02/2020", "02/03/2021"], "if the day comes first, use --date-order day"),
        (["01/13/2020", "02/03/2021"], "write all dates alike"),
    ],
)
def test_given_rows_in_another_format_are_an_error(path: Path, texts: list[str], way_out: str) -> None:
    options = given(path, texts, ["03/04/2021", "13/06/2022"])
    assert message_of(table_file.load, path, options) == (
        f"column 'x' has '13/06/2022' in row 2 below the header of {options.test}, and training rows have dates such "
        f"as {texts[0]!r}, read as month-day-year; {way_out}; to go on without it, use --drop x"
    )
