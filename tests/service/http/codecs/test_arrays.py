"""Raw and .npy bodies against numpy's own reader and writer."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from service.errors import InvalidInput, MalformedBody, RequestError
from service.http.codecs.arrays import rows_from_npy as npy_or_steps
from service.http.codecs.arrays import rows_from_raw as raw_or_steps
from service.http.codecs.npy import write as npy_from
from service.inference import columns
from service.inference.columns import Column
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.published import TABLE as PEOPLE_FEATURES
from tests.service.published import values_of


def numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, missing=False) for name in names)


PIXELS = Schema((2, 3), numbers("p0", "p1", "p2", "p3", "p4", "p5"), max_rows=100, raw_dtypes=("float32", "uint8"))
PEOPLE = Schema((5,), tuple(map(columns.of, PEOPLE_FEATURES)), max_rows=100)
TABLE = Schema((4,), numbers("a", "b", "c", "d"), max_rows=3)

NUMBERS = "expected float or integer numbers of up to 64 bits, such as '<f4'"
BOTH = "expected one or more rows of 6 values: 24 of float32 or 6 of uint8"


def whole(rows: Any) -> NDArray[Any]:
    """Rows that were read at once, or the steps that are left taken."""
    return rows if isinstance(rows, np.ndarray) else finish(rows)


def rows_from_npy(body: bytes, schema: Schema) -> NDArray[Any]:
    return whole(npy_or_steps(body, schema))


def rows_from_raw(body: bytes, dtype: str | None, schema: Schema) -> NDArray[Any]:
    return whole(raw_or_steps(body, dtype, schema))


def saved(array: NDArray[Any], *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    return str(caught.value)


@given(
    arrays_of.arrays(
        "<f4", st.tuples(st.integers(1, 3), st.just(4)), elements=st.floats(-(2.0**100), 2.0**100, width=32)
    )
)
def test_raw_float32_rows_are_numpys(rows: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(rows_from_raw(rows.tobytes(), None, TABLE), rows)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "f2", "u1", "i1", "<i2", ">i4", "<i8", "<u8"])
@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 3), (6,), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_rows_are_numpys_in_every_dtype_shape_and_order(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape), dtype, order=order)
    np.testing.assert_array_equal(rows_from_npy(saved(array), PIXELS), array.reshape(-1, 6))


@given(arrays_of.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 4))))
def test_numpy_reads_what_is_written(array: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(npy_from(array)), allow_pickle=False), array)


def test_a_raw_body_is_uint8_where_its_length_says_so() -> None:
    rows = rows_from_raw(bytes(range(18)), None, PIXELS)
    assert rows.dtype == np.uint8
    assert rows.tolist() == np.arange(18).reshape(3, 6).tolist()


def test_a_raw_body_that_can_be_both_is_refused_until_dtype_says_which() -> None:
    body = np.ones((1, 6), "<f4").tobytes()
    assert refusal(rows_from_raw, body, None, PIXELS) == (
        "the body's 24 bytes can be 1 of float32 or 4 of uint8 rows; say which with ?dtype="
    )
    assert rows_from_raw(body, "float32", PIXELS).shape == (1, 6)
    assert rows_from_raw(body, "uint8", PIXELS).shape == (4, 6)


@pytest.mark.parametrize(
    ("body", "dtype", "schema", "message"),
    [
        (b"", None, TABLE, "the body has 0 bytes, expected one or more rows of 4 values: 16 of float32"),
        (b"123", None, TABLE, "the body has 3 bytes, expected one or more rows of 4 values: 16 of float32"),
        (b"1" * 16, "uint8", TABLE, "dtype is 'uint8', and this model takes float32"),
        (b"1" * 16, "object", PIXELS, "dtype is 'object', and this model takes float32 or uint8"),
        (b"1" * 6, "float32", PIXELS, f"the body has 6 bytes, {BOTH}"),
        (bytes(16 * 4), None, TABLE, "there are 4 rows, and at most 3 are taken; send several requests"),
    ],
)
def test_a_raw_body_that_is_no_rows_is_refused(body: bytes, dtype: str | None, schema: Schema, message: str) -> None:
    assert refusal(rows_from_raw, body, dtype, schema) == message


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([["a"] * 6]), f"the array is of dtype '<U1', {NUMBERS}"),
        (np.ones((1, 6), bool), f"the array is of dtype '|b1', {NUMBERS}"),
        (np.ones((1, 6), complex), f"the array is of dtype '<c16', {NUMBERS}"),
        (np.ones((6, 1)), "the array has shape (6, 1), expected (rows, 6) or (rows, 2, 3)"),
        (np.ones(()), "the array has shape (), expected (rows, 6) or (rows, 2, 3)"),
        (np.ones((0, 6)), "there are zero rows; send one or more"),
        (np.ones((101, 6)), "there are 101 rows, and at most 100 are taken; send several requests"),
    ],
)
def test_an_npy_file_that_is_no_rows_is_refused(array: NDArray[Any], message: str) -> None:
    assert refusal(rows_from_npy, saved(array), PIXELS) == message


def test_a_pickle_in_an_npy_file_is_not_opened() -> None:
    body = saved(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "dtype '|O'" in refusal(rows_from_npy, body, PIXELS)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version: tuple[int, int]) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ones((2, 6)), version)
    assert rows_from_npy(file.getvalue(), PIXELS).shape == (2, 6)


def test_a_version_that_there_is_not_is_refused() -> None:
    body = saved(np.ones((1, 6))).replace(b"NUMPY\x01\x00", b"NUMPY\x01\x01")
    assert refusal(rows_from_npy, body, PIXELS) == (
        "the body is a .npy file of version (1, 1), expected (1, 0), (2, 0) or (3, 0)"
    )


def test_a_header_is_not_believed_on_its_word() -> None:
    body = saved(np.ones((1, 6)))
    lying = body.replace(b"(1, 6), }" + b" " * 11, b"(999999999999, 6), }")
    assert len(lying) == len(body)
    assert refusal(rows_from_npy, lying, PIXELS) == (
        "the .npy file promises an array (999999999999, 6) of float64, and has 48 bytes for it"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_values_that_are_not_finite_name_row_and_feature(bad: float, dtype: str) -> None:
    array = np.ones((3, 6), dtype)
    array[1, 4] = bad
    with pytest.raises(InvalidInput) as caught:
        rows_from_npy(saved(array), PIXELS)
    assert (caught.value.fault.row, caught.value.fault.feature) == (1, "p4")
    raw = np.ones((1, 4), "<f4")
    raw[0, 2] = bad
    with pytest.raises(InvalidInput) as caught:
        rows_from_raw(raw.tobytes(), None, TABLE)
    assert (caught.value.fault.row, caught.value.fault.feature) == (0, "c")


def test_doubles_larger_than_float32_are_refused_and_large_ones_that_fit_are_not() -> None:
    with pytest.raises(InvalidInput, match="row 0, feature 'p0' is larger than float32 holds"):
        rows_from_npy(saved(np.full((1, 6), 1e39)), PIXELS)
    assert rows_from_npy(saved(np.full((1, 6), 3e38)), PIXELS).max() == 3e38


@given(st.integers(0, 2**32 - 1), st.sampled_from(["<f4", ">f4", "<f8"]))
def test_rows_of_a_table_are_its_codes_and_nan_where_a_value_is_missing(seed: int, dtype: str) -> None:
    rows = values_of(PEOPLE_FEATURES, 3, seed)
    np.testing.assert_array_equal(rows_from_npy(saved(rows.astype(dtype)), PEOPLE), rows)
    np.testing.assert_array_equal(rows_from_raw(rows.tobytes(), None, PEOPLE), rows)


@pytest.mark.parametrize(("column", "code"), [(2, 2), (3, 3), (3, 0.5), (4, -1), (4, 3)])
def test_a_code_that_there_is_not_names_row_and_feature(column: int, code: float) -> None:
    array = np.ones((3, 5), "<f4")
    array[2, column] = code
    for read, body in ((rows_from_npy, (saved(array),)), (rows_from_raw, (array.tobytes(), None))):
        with pytest.raises(InvalidInput) as caught:
            read(*body, PEOPLE)
        assert (caught.value.fault.row, caught.value.fault.feature) == (2, PEOPLE_FEATURES[column].name)


@given(st.data())
def test_a_damaged_npy_file_is_read_as_numpy_reads_it_or_refused(data: st.DataObject) -> None:
    body = bytearray(saved(np.arange(12, dtype="<f4").reshape(2, 6)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = rows_from_npy(bytes(body), PIXELS)
    except (InvalidInput, MalformedBody):
        return
    np.testing.assert_array_equal(rows, np.load(io.BytesIO(bytes(body)), allow_pickle=False).reshape(-1, 6))
