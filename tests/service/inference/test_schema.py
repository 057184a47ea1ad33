"""Rows that a model accepts, in every encoding."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from service import artifact
from service.cells import Cells
from service.errors import InvalidInput
from service.http.codecs.json_rows import rows_from_json
from service.http.codecs.npy import rows_from_npy
from service.http.codecs.raw import rows_from_raw
from service.inference import columns
from service.inference.columns import FLOAT32_MAX, Column, Marked, Pixel
from service.inference.schema import Schema, fits_float32
from tests.service.errors import error_message
from tests.service.http.codecs.schemas import complete
from tests.service.published import TABLE, publish, rewrite, values_of

NUMBERS = Schema((2,), (Column("a", missing=False), Column("b", missing=True)), max_rows=3)
OF_TABLE = Schema((len(TABLE),), tuple(map(columns.of, TABLE)), max_rows=100)
GOOD = [40.0, 1.7, 1.0, 2.0, 0.0]


def checked(rows: NDArray[Any], schema: Schema) -> NDArray[Any]:
    return complete(schema.checked(rows))


def row_error(rows: NDArray[Any], schema: Schema) -> str:
    return error_message(InvalidInput, checked, rows, schema)


def test_the_schema_of_a_published_model(tmp_path: Path) -> None:
    publish(tmp_path, "table", features=TABLE)
    publish(tmp_path, "image", shape=(2, 3))
    table, image = (Schema.of(artifact.read_manifest(tmp_path / name / "1"), max_rows=7) for name in ("table", "image"))
    assert (table.shape, table.width, table.max_rows, table.raw_dtypes) == ((5,), 5, 7, ("float32",))
    assert list(table.names) == [feature.name for feature in TABLE]
    assert (image.shape, image.width) == ((2, 3), 6)
    assert (table.numeric, image.numeric, NUMBERS.numeric) == (False, True, True)


def test_the_number_of_rows_has_bounds() -> None:
    for rows in (1, 3):
        NUMBERS.check_count(rows)
    for rows, fault in (
        (0, "there are zero rows; send one or more"),
        (4, "there are 4 rows, expected at most 3; send several requests"),
    ):
        assert error_message(InvalidInput, NUMBERS.check_count, rows) == fault


def test_only_some_columns_may_have_missing_values() -> None:
    rows = np.array([[1, np.nan], [2, 3]], np.float32)
    np.testing.assert_array_equal(checked(rows, NUMBERS), rows)
    assert row_error(np.array([[1, 2], [np.nan, np.nan]]), NUMBERS) == (
        "row 1, feature 'a' is NaN, expected a finite number"
    )
    assert row_error(np.array([[1, -np.inf]]), NUMBERS) == "row 0, feature 'b' is infinite, expected a finite number"


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        (0, np.inf, "feature 'age' is infinite, expected a finite number"),
        (1, np.nan, "feature 'height' is NaN, expected a finite number"),
        (2, 2, "feature 'member' is 2, expected true or false (or 1 or 0)"),
        (2, 0.5, "feature 'member' is 0.5, expected true or false (or 1 or 0)"),
        (3, 3, "feature 'country' is 3, expected the code of a category, an integer from 0 to 2"),
        (3, -1, "feature 'country' is -1, expected the code of a category, an integer from 0 to 2"),
        (3, 0.25, "feature 'country' is 0.25, expected the code of a category, an integer from 0 to 2"),
        (3, np.inf, "feature 'country' is inf, expected the code of a category, an integer from 0 to 2"),
        (4, 3, "feature 'job' is 3, expected the code of a category, an integer from 0 to 2"),
        (4, np.nan, "feature 'job' is nan, expected the code of a category, an integer from 0 to 2"),
    ],
)
def test_the_first_invalid_number_is_named(column: int, value: float, fault: str) -> None:
    rows = np.array([GOOD] * 4)
    rows[2:, column] = value
    rows[3, :] = -7.5
    assert row_error(rows, OF_TABLE) == f"row 2, {fault}"


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i8", "<f2", "<f4", ">f8"])
def test_numbers_of_every_dtype_are_checked(dtype: str) -> None:
    rows = np.array([GOOD], dtype)
    np.testing.assert_array_equal(checked(rows, OF_TABLE), rows)
    rows[0, 3] = 9
    assert "feature 'country' is 9, expected the code" in row_error(rows, OF_TABLE)


@given(st.integers(0, 2**32 - 1))
def test_training_data_is_accepted(seed: int) -> None:
    rows = values_of(TABLE, 10, seed)
    np.testing.assert_array_equal(checked(rows, OF_TABLE), rows)


def test_a_signalling_nan_means_missing_and_does_not_warn() -> None:
    signalling = np.frombuffer(bytes.fromhex("010000000000f07f") + np.float64(1).tobytes(), "<f8")
    rows = np.array([GOOD])
    rows[0, 0] = signalling[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(checked(rows, OF_TABLE).astype(np.float32)[0, 0])
        assert "feature 'a' is NaN" in row_error(signalling.reshape(1, 2), NUMBERS)


@pytest.mark.parametrize("dtype", ["<i8", "<f4", "<f8"])
def test_a_sentinel_means_missing_in_arrays_too(dtype: str) -> None:
    rules = Cells(("-999", "-99.9"), ())
    schema = Schema((2,), (Marked("a", missing=True, cells=rules), Column("b", missing=False, cells=rules)), max_rows=3)
    rows = np.array([[-999, -999], [7, 7], [-99.9, 1]]).astype(dtype)
    third = np.nan if rows.dtype.kind == "f" else -99
    np.testing.assert_array_equal(checked(rows, schema), [[np.nan, -999], [7, 7], [third, 1]])
    strict = Schema((1,), (Marked("a", missing=False, cells=rules),), max_rows=3)
    assert row_error(rows[:, :1], strict) == "row 0, feature 'a' is NaN, expected a finite number"


def test_infinity_is_rejected_in_the_smallest_dtype_too() -> None:
    assert not fits_float32(np.full(10_000, np.inf, np.float16))


@given(
    arrays_of.arrays(st.sampled_from(["<f2", "<f4", "<f8"]), st.integers(1, 20)),
    st.sampled_from([1, 1000]),
)
def test_values_that_fit_are_finite_as_float32(values: NDArray[Any], times: int) -> None:
    with np.errstate(all="ignore"):
        many = np.tile(values, times)
        finite = bool((np.abs(many.astype(np.float64)) <= FLOAT32_MAX).all())
        if fits_float32(many):
            assert finite
        elif finite:  # the sum of their squares overflows in their dtype or in float32
            largest = min(FLOAT32_MAX, np.sqrt(np.finfo(many.dtype).max)) / np.sqrt(len(many))
            assert np.abs(many.astype(np.float64)).max() > 0.99 * largest


def pixels(brightest: float = 255.0) -> Schema:
    columns_ = tuple(Pixel(f"p{index}", missing=False) for index in range(4))
    return Schema((2, 2), columns_, max_rows=5, raw_dtypes=("float32", "uint8"), brightest=brightest)


def errors_in_each_encoding(rows: NDArray[Any], schema: Schema) -> list[str]:
    """The error message for the rows in each encoding, empty if they are accepted."""
    file = io.BytesIO()
    np.save(file, rows)
    named = [dict(zip(schema.names, row, strict=True)) for row in rows.tolist()]
    ways: list[Callable[[], Any]] = [
        lambda: rows_from_json(json.dumps({"inputs": rows.tolist()}).encode(), schema),
        lambda: rows_from_json(json.dumps({"inputs": rows.reshape(-1, 2, 2).tolist()}).encode(), schema),
        lambda: rows_from_json(json.dumps({"inputs": named}).encode(), schema),
        lambda: rows_from_npy(file.getvalue(), schema),
    ]
    if rows.dtype == np.float32:
        ways.append(lambda: rows_from_raw(rows.tobytes(), "float32", schema))
    errors = []
    for way in ways:
        try:
            np.testing.assert_array_equal(complete(way()), rows)
            errors.append("")
        except InvalidInput as error:
            errors.append(str(error))
    return errors


SCALED = (
    "all pixels are fractions from 0 to 1, and the model was trained on pixels from 0 to 255; send them as they are in "
    "the image (multiply by 255)"
)
NEXT = "expected a pixel from 0 to 255; send it as it is in the image, not scaled"


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([[0.0, 0.5, 1.0, 0.25]], SCALED),
        ([[0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 0.25]], SCALED),
        ([[-1.0, 0.5, 1.0, 0.25]], f"row 0, feature 'p0' is -1, {NEXT}"),
        ([[9.0, 5.0, 1.0, 25.0], [0.0, 2.0, 256.0, 1.0]], f"row 1, feature 'p2' is 256, {NEXT}"),
        ([[0.0, 0.5, 1.0, 1.25]], ""),
        ([[0.0, 0.0, 0.0, 0.0]], ""),
        ([[0.0, 1.0, 1.0, 0.0]], ""),
        ([[0.0, 255.0, 254.5, 3.0]], ""),
    ],
)
def test_scaled_pixels_are_rejected_in_every_encoding(dtype: str, rows: list[list[float]], fault: str) -> None:
    assert set(errors_in_each_encoding(np.array(rows, dtype), pixels())) == {fault}


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i8"])
def test_integer_pixels_are_checked_if_their_dtype_exceeds_the_range(dtype: str) -> None:
    assert set(errors_in_each_encoding(np.array([[0, 1, 9, 100]], dtype), pixels())) == {""}
    if dtype != "u1":
        assert set(errors_in_each_encoding(np.array([[0, 1, -9, 100]], dtype), pixels())) == {
            f"row 0, feature 'p2' is -9, {NEXT}"
        }


def test_a_model_of_black_and_white_accepts_values_between() -> None:
    assert set(errors_in_each_encoding(np.array([[0, 0.5, 1, 0]]), pixels(1.0))) == {""}


@given(arrays_of.arrays("<f4", (2, 4), elements=st.floats(-300, 300, width=32) | st.just(np.nan)))
def test_only_pixels_are_accepted(rows: NDArray[np.float32]) -> None:
    good = bool(((rows >= 0) & (rows <= 255)).all())
    scaled = good and rows.max() <= 1 and bool((rows != np.rint(rows)).any())
    assert (set(errors_in_each_encoding(rows, pixels())) == {""}) == (good and not scaled)


def test_a_model_of_float64_accepts_no_other_raw_rows(tmp_path: Path) -> None:
    publish(tmp_path, "table", features=TABLE)
    rewrite(tmp_path / "table" / "1", lambda document: document.update(input_dtype="float64"))
    schema = Schema.of(artifact.read_manifest(tmp_path / "table" / "1"), max_rows=7)
    assert schema.raw_dtypes == ("float64",)
