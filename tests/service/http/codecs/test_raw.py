"""Raw bodies, compared with numpy's bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from service.http.codecs import raw
from service.http.options import RowOptions
from service.inference.schema import Schema
from tests.service.errors import request_error
from tests.service.http.codecs.schemas import PIXELS, TABLE, rows_from_raw

BOTH = "expected one or more rows of 6 values: 24 of float32 or 6 of uint8"


@given(
    arrays_of.arrays(
        "<f4", st.tuples(st.integers(1, 3), st.just(4)), elements=st.floats(-(2.0**100), 2.0**100, width=32)
    )
)
def test_raw_float32_rows_are_read(rows: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(rows_from_raw(rows.tobytes(), None, TABLE), rows)


def test_a_raw_body_is_uint8_if_its_length_says_so() -> None:
    rows = rows_from_raw(bytes(range(18)), None, PIXELS)
    assert rows.dtype == np.uint8
    assert rows.tolist() == np.arange(18).reshape(3, 6).tolist()


def test_an_ambiguous_raw_body_needs_dtype() -> None:
    body = np.ones((1, 6), "<f4").tobytes()
    assert request_error(rows_from_raw, body, None, PIXELS) == (
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
        (bytes(16 * 4), None, TABLE, "there are 4 rows, expected at most 3; send several requests"),
    ],
)
def test_a_raw_body_without_valid_rows_is_rejected(
    body: bytes, dtype: str | None, schema: Schema, message: str
) -> None:
    assert request_error(rows_from_raw, body, dtype, schema) == message


@pytest.mark.parametrize(
    ("raw_dtypes", "dtype", "row_bytes"),
    [
        (("float32",), None, 24),
        (("float32", "uint8"), None, 24),
        (("float32", "uint8"), "uint8", 6),
        (("float64",), None, 48),
        (("float64",), "float64", 48),
        (("float64",), "uint8", None),
    ],
)
def test_a_row_has_as_many_bytes_as_its_largest_dtype(
    raw_dtypes: tuple[str, ...], dtype: str | None, row_bytes: int | None
) -> None:
    schema = Schema((6,), PIXELS.columns, max_rows=10, raw_dtypes=raw_dtypes)
    assert raw.CODEC.row_bytes(RowOptions(dtype), schema) == row_bytes
