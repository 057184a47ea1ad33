"""Rows from CSV, against training's own reader of files, and what is rejected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.cells import Cells
from service.errors import InvalidInput, RequestError
from service.http.codecs import csv_rows, csv_text
from service.http.codecs.codec import PartialRows
from service.http.codecs.csv_rows import CellReader
from service.http.codecs.csv_text import CsvText
from service.http.options import RowOptions
from service.inference import columns
from service.inference.columns import Pixel
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.errors import request_error
from tests.service.http.codecs.schemas import TABLE, numbers
from tests.service.http.codecs.tables import FEATURES, GOOD, NAMES, SCHEMA, as_csv, decode, rows_of
from training.data.tables.files import delimited
from training.errors import DataError

CSV = "text/csv"
ABSENT = {b"header": b"absent"}
HEADER = b"height,active,job\n"
ROW = b"1.8,true,cook\n"

cells = st.text(st.sampled_from('ab1. "\n\r,;\té\u2028-'), max_size=4)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=4), st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=300)
def test_the_text_is_split_as_training_splits_a_file(rows: list[list[str]], end: str) -> None:
    quoted = [",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in [["x", "y"], *rows]]
    content = end.join(quoted).encode()
    assert list(CsvText(content, 1000)) == [["x", "y"], *rows]


@given(st.lists(st.sampled_from(["a,b", "1;2", "1.5,-2", ' 1 , "x"', "", '"a\nb",2', "é,ü", '""'])), st.booleans())
def test_plain_text_is_split_as_training_splits_a_file(lines: list[str], bom: bool) -> None:
    content = b"\xef\xbb\xbf" * bom + "\n".join(["x,y", *lines]).encode()
    file = Path("table.csv")
    try:
        table = delimited.read(file, content, ("x", "y"))
    except DataError:
        return
    found = list(CsvText(content, 1000))
    if all(len(row) == 2 for row in found) and not table.notes:  # it skipped nothing
        assert found[1:] == [list(row) for row in zip(*(each.to_pylist() for each in table.columns), strict=True)]


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 16])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_pieces_are_cut_between_lines(piece: int, end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'x,"long ""name"""' + end + end.join([b"\xc3\xa9,1", b"", b'"a' + end + b'b",2', b"c,3"])
    whole = list(CsvText(content, 1000))
    monkeypatch.setattr(csv_text, "_PIECE_BYTES", piece)
    assert list(CsvText(content, 1000)) == whole
    assert len(whole) == 4


def test_cells_are_read_as_training_reads_them() -> None:
    body = b'job , height,active,income,member,city\n nurse," 1.8 ",TRUE,-999.0,,NA\ncook,+.5e1,0,NA,False,10115\n'
    np.testing.assert_array_equal(rows_of(CSV, body), [[np.nan, 1.8, np.nan, 1, 2, 2], [np.nan, 5, 0, 0, 3, 0]])


def test_numbers_of_an_image_model_are_read_by_name_and_by_position() -> None:
    pixels = Schema((2, 2), tuple(Pixel(name, missing=False) for name in "abcd"), 10, ("float32", "uint8"), 255.0)
    assert rows_of(CSV, b"b,a,d,c\n1,2,3,4\n", pixels).tolist() == [[2, 1, 4, 3]]
    assert rows_of(CSV, b"1,2,3,255\n0,0,0,9", pixels, parameters=ABSENT).tolist() == [[1, 2, 3, 255], [0, 0, 0, 9]]
    assert "a pixel from 0 to 255" in request_error(rows_of, CSV, b"a,b,c,d\n1,2,3,256\n", pixels)
    assert "send them as they are in the image" in request_error(rows_of, CSV, b"a,b,c,d\n0.5,1,0,0.25\n", pixels)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty, expected a line of column names and one or more rows"),
        (HEADER, "there are zero rows; send one or more"),
        (HEADER + b"x,true,cook", "row 0, feature 'height' is the string 'x', expected a number"),
        (
            HEADER + ROW + b"1e39,true,cook",
            "row 1, feature 'height' is larger than float32 holds, expected at most 3.4e38",
        ),
        (
            HEADER + ROW + b",true,cook",
            "row 1, feature 'height' is the string '', which stands for a missing value, and the model allows no "
            "missing value here; send a number",
        ),
        (
            HEADER + ROW + b"1.8,true\n",
            "row 1 has 2 values, expected 3 as in the header; they are separated by ',', and quoted if they contain it",
        ),
        (b"height,job\n1,cook", "the table has no feature 'active'; send all 6, null for a missing value"),
        (
            b"height,active,job,wage,pet\n",
            "the table has features 'wage', 'pet' that the model does not know; leave them out, or say "
            "?ignore_unknown=true",
        ),
        (
            b",height,active,job\n",
            "column 1 of the header has no name; name it, or write the table without it (in pandas: index=False)",
        ),
        (b"height,job,height,active\n", "there are several columns 'height'; send one"),
        (HEADER + b'"1.8,true,cook\n', "the body is not CSV: line 2: unexpected end of data"),
        (HEADER + b'"1"8,true,cook\n', "the body is not CSV: line 2: ',' expected after '\"'"),
        (HEADER + b"\xff,true,cook\n", "the body is not UTF-8: byte 18 is 0xff"),
        (HEADER + ROW * 1001, "there are more than 1000 rows, the most that are accepted; send several requests"),
        (b"x" * 300_000, "a line of the body has more than 131072 bytes; is a quote left open?"),
        (HEADER + b"\n" * 10_001 + ROW, "the body has more than 10000 empty lines; send rows alone"),
        (b"\r" * 300_000, "the body has more than 10000 empty lines; send rows alone"),
        (HEADER + b'"' + b"\n" * 300_000, "a line of the body has more than 131072 bytes; is a quote left open?"),
    ],
)  # fmt: skip
def test_the_error_names_row_and_column(body: bytes, message: str) -> None:
    assert request_error(rows_of, CSV, body) == message


def test_empty_lines_are_skipped() -> None:
    expected = rows_of(CSV, HEADER + ROW * 2)
    np.testing.assert_array_equal(rows_of(CSV, b"\r\n" * 9 + HEADER + ROW + b"\n" * 9_990 + ROW), expected)


def test_rows_by_position_have_all_values() -> None:
    with pytest.raises(RequestError, match="row 0 has 3 values, expected 4 the model's features"):
        rows_of(CSV, b"1,2,3\n", TABLE, parameters=ABSENT)
    with pytest.raises(RequestError, match="header is 'maybe' in the content-type, expected present or absent"):
        rows_of(CSV, b"1,2,3\n", TABLE, parameters={b"header": b"maybe"})


@pytest.mark.parametrize("text", ["1_0", "\u0661", "nan", "inf", "0x1", "1e", "--1", "1" * 401, " 1"])
def test_plain_numbers_are_those_of_training(text: str) -> None:
    one = Schema((1,), numbers("a"), 3)

    def outcome(read: Callable[[], Any]) -> object:
        try:
            return read()
        except RequestError as error:
            return str(error)

    content = f"a\n{text}\n".encode()
    assert outcome(lambda: rows_of(CSV, content, one).item()) == outcome(lambda: one.columns[0].cell(0, text))


def test_large_bodies_are_read_in_steps() -> None:
    steps = csv_rows.rows_from_csv(HEADER + ROW * 1000, RowOptions(), SCHEMA)
    count = sum(1 for _ in steps)
    assert count > 5


def test_long_rows_are_read_a_few_at_a_time() -> None:
    long = b'1.8,true,"%b"\n' % (b"x" * 100_000)
    steps = csv_rows.rows_from_csv(HEADER + long * 20, RowOptions(), SCHEMA)
    assert sum(1 for _ in steps) >= 20
    assert len(finish(csv_rows.rows_from_csv(HEADER + long * 20, RowOptions(), SCHEMA))) == 20


def test_a_first_line_that_no_parser_takes_is_a_row_of_too_few_values() -> None:
    wide = Schema((1000,), numbers(*(f"f{index}" for index in range(1000))), 10)
    found = request_error(rows_of, CSV, b"1" * 150_000, wide, parameters=ABSENT)
    assert found == "the body is not CSV: line 1: field larger than field limit (131072)"


@pytest.mark.parametrize("rows", [b"", ROW])
def test_bad_rows_may_be_shorter_than_good_ones(rows: bytes) -> None:
    schema = Schema((6,), SCHEMA.columns, 1000)
    body = b"height,active,job\n" + rows + b"x\n" * 900
    options = RowOptions(by_row=True)
    if rows:
        found = decode(CSV, body, schema, options)
        assert isinstance(found, PartialRows)
        assert (len(found.rows), len(found.faults)) == (901, 900)
    else:
        with pytest.raises(InvalidInput) as caught:
            decode(CSV, body, schema, options)
        assert len(caught.value.more) == 899


numerals = ["", "1", "2.5", " 3 ", "-999", "1e3", "1e39", "9007199254740993", "1,5", "1.000,5", "inf", "0x1", "1_0"]
texts = [
    "-",
    "NA",
    "true",
    "0",
    "yes",
    "cook",
    " cook",
    "10115",
    "Köln, Dom",
    'a "b"',
    "31.01.2020",
    "x" * 401,
    "1" * 401,
]
table_cells = st.sampled_from([*numerals, *texts])
TABLES = [
    Schema((6,), tuple(columns.of(each, given_cells) for each in FEATURES), 100)
    for given_cells in (None, Cells(), Cells(missing_numbers=("-999", "NA")), Cells(decimal=",", thousands="."))
]


class OneByOne(CellReader):
    """The oracle: it reads each row on its own."""

    def at_once(self, rows: Sequence[list[str]]) -> NDArray[np.float64] | None:  # noqa: ARG002 - as the base class
        return None


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), table_cells), max_size=4),
    st.integers(1, 5),
    st.sampled_from(TABLES),
    st.booleans(),
    st.sampled_from([b"", b"1,2\n", b'"' * 3]),
)
@settings(max_examples=400)
def test_rows_are_read_at_once_as_one_by_one(
    changes: list[tuple[str, str]], count: int, schema: Schema, by_row: bool, end: bytes
) -> None:
    rows = [{**GOOD, "member": "true", "active": "0"} for _ in range(count)]
    for at, (name, value) in enumerate(changes):
        rows[at % count][name] = value
    body = as_csv(rows, [*NAMES[::-1]]) + end

    def outcome() -> object:
        try:
            found = decode(CSV, body, schema, RowOptions(by_row=by_row))
        except RequestError as error:
            return type(error), str(error), getattr(error, "more", None)
        if isinstance(found, PartialRows):
            return repr(found.rows.tolist()), found.faults.faults()
        return repr(found.tolist())

    at_once = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "CellReader", OneByOne)
        assert at_once == outcome()
