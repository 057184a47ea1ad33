"""Rows from Arrow streams, and answers as ones; damaged streams, and those that expand."""

from __future__ import annotations

import struct
import threading
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import BodyTooLarge, RequestError, UnsupportedMedia
from service.http.codecs import arrow_answers, arrow_stream
from service.http.options import Options, RowOptions
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.session import Outputs
from service.inference.steps import InThread, finish
from tests.service.errors import request_error
from tests.service.http.codecs.schemas import numbers
from tests.service.http.codecs.tables import GOOD as PERSON
from tests.service.http.codecs.tables import SCHEMA, arrow_table, as_arrow, decode, rows_of
from tests.service.http.codecs.test_json_frames import EXPECTED, FRAME

ARROW = "application/vnd.apache.arrow.stream"
PAIR = Schema((2,), numbers("a", "b"), 1000)
GOOD = arrow_table([PERSON] * 3, list(PERSON))
STREAMS = [as_arrow(GOOD, compression, 2) for compression in (None, "lz4", "zstd")]


def pair(a: pa.Array, b: pa.Array | None = None) -> bytes:
    return as_arrow(pa.table({"b": pa.array([1.0] * len(a)) if b is None else b, "a": a}))


@pytest.mark.parametrize(
    "type_",
    [
        pa.int8(),
        pa.int64(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(9, 2),
        pa.decimal256(9),
    ],
)
def test_numbers_of_each_type_are_read(type_: pa.DataType) -> None:
    plain = pa.array([Decimal(1), Decimal(20)], type_) if pa.types.is_decimal(type_) else pa.array([1, 20])
    values = plain.cast(type_)
    assert rows_of(ARROW, pair(values), PAIR).tolist() == [[1, 1], [20, 1]]
    assert rows_of(ARROW, pair(values.dictionary_encode()), PAIR).tolist() == [[1, 1], [20, 1]]


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view()])
def test_strings_of_each_type_are_read(type_: pa.DataType) -> None:
    table = GOOD.set_column(GOOD.column_names.index("job"), "job", pa.array(["cook", "x", "cook"], type_))
    assert rows_of(ARROW, as_arrow(table))[:, 5].tolist() == [0, 2, 0]


def test_a_frame_of_pandas_is_read_with_any_index() -> None:
    for frame in (FRAME, FRAME.set_index(pd.Index([7, 8, 9])), FRAME.set_index(pd.Index([1, 2, 3], name="city_"))):
        table = pa.Table.from_pandas(frame)
        np.testing.assert_array_equal(rows_of(ARROW, as_arrow(table), ignore_unknown=True), EXPECTED)


def test_a_column_of_nulls_alone_is_missing() -> None:
    table = GOOD.set_column(0, "income", pa.nulls(3))
    assert np.isnan(rows_of(ARROW, as_arrow(table))[:, 0]).all()


def test_the_columns_of_a_float64_model_are_not_rounded_before() -> None:
    exact = Schema((2,), PAIR.columns, 10, ("float64",))
    assert rows_of(ARROW, pair(pa.array([2**53 - 1])), exact).tolist() == [[2**53 - 1, 1]]
    assert request_error(rows_of, ARROW, pair(pa.array([1.0], pa.float32())), exact) == (
        "column 'a' has the type float, which cannot hold this model's values apart; make it float64 or int64 from the "
        "start"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            pair(pa.array([1, None])),
            "row 1, feature 'a' is null, and the model allows no missing value here; send a number",
        ),
        (pair(pa.array([1.0, np.inf])), "row 1, feature 'a' is infinite, expected a finite number"),
        (pair(pa.array([1.0, 1e39])), "row 1, feature 'a' is larger than float32 holds, expected at most 3.4e38"),
        (pair(pa.array([True])), "row 0, feature 'a' is true, expected a number"),
        (pair(pa.array(["1"])), "row 0, feature 'a' is the string '1', expected a number"),
        (
            pair(pa.array([1], pa.timestamp("s"))),
            "column 'a' has the type timestamp[s], expected numbers, booleans or strings; convert it first",
        ),
        (
            pair(pa.array([[1]])),
            "column 'a' has the type list<item: int64>, expected numbers, booleans or strings; convert it first",
        ),
        (
            pair(pa.array([b"1"])),
            "column 'a' has the type binary, expected numbers, booleans or strings; convert it first",
        ),
        (as_arrow(pa.table({"a": [1.0]})), "the table has no feature 'b'; send all 2"),
        (pair(pa.array([], pa.int64())), "there are zero rows; send one or more"),
        (pair(pa.array([1.0] * 1001)), "there are 1001 rows, expected at most 1000; send several requests"),
        (b"", "the body is no Arrow stream: Tried reading schema message, was null or length 0"),
        (b"ARROW1\0\0", "the body is an Arrow file, expected an Arrow stream; write it with pyarrow.ipc.new_stream"),
    ],
)  # fmt: skip
def test_the_error_names_row_and_column(body: bytes, message: str) -> None:
    assert request_error(rows_of, ARROW, body, PAIR) == message


def test_a_stream_that_expands_is_rejected_before_anything_is_allocated() -> None:
    zeros = pa.table({"a": np.zeros(1000), "b": np.zeros(1000)})
    body = as_arrow(zeros, "zstd")
    assert len(body) < 1000
    with pytest.raises(BodyTooLarge, match="expands to more than 10000 bytes"):
        decode(ARROW, body, PAIR, RowOptions(max_bytes=10_000))
    # A length that no machine has memory for.
    hostile = body.replace(struct.pack("<q", 8000), struct.pack("<q", 2**62))
    assert hostile != body
    with pytest.raises(BodyTooLarge):
        decode(ARROW, hostile, PAIR)


def test_decimals_of_a_scale_that_would_take_gigabytes_are_rejected() -> None:
    with pytest.raises(RequestError, match="convert it first"):
        decode(ARROW, pair(pa.array([Decimal(0)], pa.decimal128(9, -2000))), PAIR)


def test_a_stream_of_many_dictionaries_is_rejected() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("a", pa.dictionary(pa.int8(), pa.float64()))])) as writer:
        for number in range(1001):
            array = pa.array([float(number)]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.float64()))
            writer.write_batch(pa.record_batch([array], ["a"]))
    schema = Schema((1,), numbers("a"), 2000)
    assert "more than 1000 dictionaries" in request_error(rows_of, ARROW, sink.getvalue().to_pybytes(), schema)


def test_small_batches_with_a_large_dictionary_are_rejected() -> None:
    jobs = pa.array(["x" * 10_000] * 100).dictionary_encode()
    body = as_arrow(pa.table({"a": jobs, "b": np.zeros(100)}), chunk=1)
    with pytest.raises(RequestError, match="too many batches with large dictionaries"):
        decode(ARROW, body, PAIR, RowOptions(max_bytes=15_000))


def repeated_views(text: bytes, rows: int) -> pa.Array:
    """Views of the same bytes, one for each row."""
    view = struct.pack("<i4sii", len(text), text[:4], 0, 0)
    return pa.Array.from_buffers(pa.string_view(), rows, [None, pa.py_buffer(view * rows), pa.py_buffer(text)])


LONG = "x" * 50_000


@pytest.mark.parametrize(
    "repeated",
    [
        repeated_views(LONG.encode(), 3),
        pa.array([LONG] * 3).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int8()), repeated_views(LONG.encode(), 3)),
    ],
)
def test_a_text_that_rows_repeat_counts_for_each_of_them(repeated: pa.Array) -> None:
    table = GOOD.set_column(GOOD.column_names.index("job"), "job", repeated)
    assert rows_of(ARROW, as_arrow(table), max_bytes=155_000)[:, 5].tolist() == [2, 2, 2]
    with pytest.raises(BodyTooLarge, match="more than 145000 characters, counted as often as they occur"):
        rows_of(ARROW, as_arrow(table), max_bytes=145_000)


def test_an_interval_is_no_category() -> None:
    intervals = pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval())
    table = GOOD.set_column(GOOD.column_names.index("job"), "job", intervals)
    assert request_error(rows_of, ARROW, as_arrow(table)) == (
        "column 'job' has the type month_day_nano_interval, expected numbers, booleans or strings; convert it first"
    )


@given(st.sampled_from(STREAMS), st.data())
@settings(max_examples=400)
def test_a_damaged_stream_is_read_or_rejected(stream: bytes, data: st.DataObject) -> None:
    body = bytearray(stream)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 8))
        body[at : at + 8] = data.draw(
            st.binary(max_size=8)
            | st.sampled_from(
                [b"\xff" * 8, bytes(8), b"\xff" * 7 + b"\x7f", b"\xff\xff\xff\x7f" + body[at + 4 : at + 8]]
            )
        )
        body += bytes(8)
    try:
        rows = rows_of(ARROW, bytes(body), ignore_unknown=True)
    except RequestError:
        return
    assert rows.shape[1] == SCHEMA.width


def test_without_pyarrow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_stream, "is_installed", lambda: False)
    with pytest.raises(UnsupportedMedia, match=r"install mlp-serving\[arrow\]"):
        decode(ARROW, STREAMS[0])


# Answers


class Classifier:
    name, version, classes, targets = "small", 3, ("ape", "bee", "cat"), ("kind",)


class Regressor:
    name, version, classes = "price", 1, ()

    def __init__(self, *targets: str) -> None:
        self.targets = targets


OUTPUTS = Outputs(np.array([[0.5, 0.25, 0.25], [0, 0.25, 0.75]], np.float32), np.array([0, 2]))


def answered(manifest: Any, options: Options, outputs: Outputs = OUTPUTS) -> pa.Table:
    return pa.ipc.open_stream(arrow_answers.encode(manifest, options, outputs)).read_all()


def test_an_answer_has_a_column_for_each_label() -> None:
    table = answered(Classifier, Options())
    assert table.to_pydict() == {
        "prediction": ["ape", "cat"],
        "class": [0, 2],
        "probability_ape": [0.5, 0.0],
        "probability_bee": [0.25, 0.25],
        "probability_cat": [0.25, 0.75],
    }
    assert table.schema.metadata == {b"model": b"small", b"version": b"3"}


def test_an_answer_with_the_best_labels_and_bad_rows() -> None:
    faults = RowFaults()
    with pytest.raises(RequestError) as caught:
        rows_of(ARROW, pair(pa.array(["x"])), PAIR)
    faults.add(0, caught.value)  # type: ignore[arg-type]
    assert answered(Classifier, Options(probabilities=False, top_k=2, faults=faults)).to_pydict() == {
        "prediction": [None, "cat"],
        "class": [None, 2],
        "top_1_prediction": [None, "cat"],
        "top_1_probability": [None, 0.75],
        "top_2_prediction": [None, "bee"],
        "top_2_probability": [None, 0.25],
        "error": ["row 0, feature 'a' is the string 'x', expected a number", None],
    }


def test_an_answer_of_a_regressor_is_its_targets() -> None:
    values = Outputs(None, np.array([[1, 2], [3, 4]], np.float32))
    assert answered(Regressor("low", "high"), Options(), values).to_pydict() == {"low": [1, 3], "high": [2, 4]}
    one = Outputs(None, values.prediction[:, :1])
    assert answered(Regressor("price"), Options(), one).to_pydict() == {"prediction": [1, 3]}


def test_pyarrow_is_imported_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_stream, "_imported", threading.Event())
    body = as_arrow(GOOD)
    assert isinstance(next(arrow_stream.rows_from_arrow(body, RowOptions(), SCHEMA)), InThread)
    assert len(finish(arrow_stream.rows_from_arrow(body, RowOptions(), SCHEMA))) == 3
    assert not isinstance(next(arrow_stream.rows_from_arrow(body, RowOptions(), SCHEMA)), InThread)
