"""Bodies and headers of .npy files, compared with numpy's reader."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from service.errors import InvalidInput, MalformedBody, RequestError
from service.http.codecs import npy
from tests.service.errors import request_error
from tests.service.http.codecs.schemas import (
    PEOPLE,
    PEOPLE_FEATURES,
    PIXELS,
    TABLE,
    rows_from_npy,
    rows_from_raw,
    saved,
)
from tests.service.published import values_of

DATA = np.arange(12, dtype="<f4").tobytes()
ADVICE = (" at 0x", "allow_pickle", "literal_eval", "sys.", "Traceback", "node")


def file_of(header: str | bytes, data: bytes = DATA, version: bytes = b"\x01\x00") -> bytes:
    content = header.encode("latin-1") if isinstance(header, str) else header
    return b"\x93NUMPY" + version + len(content).to_bytes(2 if version == b"\x01\x00" else 4, "little") + content + data


def numpys(body: bytes) -> NDArray[Any] | None:
    """The array that numpy reads, if it has numbers and the file ends after them."""
    file = io.BytesIO(body)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # noqa: BLE001 - it raises errors of every kind
        return None
    fits = isinstance(array, np.ndarray) and array.dtype.kind in "fiu" and array.dtype.itemsize <= 8
    return array if fits and not file.read(1) else None


def ours(body: bytes) -> NDArray[Any] | None:
    try:
        return npy.read(body)
    except (MalformedBody, InvalidInput) as error:
        message = str(error)
    assert not any(advice in message for advice in ADVICE), message
    assert len(message) < 300
    return None


spaces = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def headers(draw: st.DrawFn) -> str:
    """A header as any program may write it, valid or not."""

    def text(value: str) -> str:
        mark = draw(st.sampled_from("'\""))
        return f"{mark}{value}{mark}"

    def gap() -> str:
        return draw(spaces)

    sizes = draw(st.lists(st.sampled_from(["0", "1", "2", "3", "6", "12", "12L", "4L"]), max_size=4))
    shape = f",{gap()}".join(sizes) + (gap() + "," if len(sizes) == 1 or (sizes and draw(st.booleans())) else "")
    descr = draw(
        st.sampled_from(["<f4", "f4", "|u1", ">i4", "<f8", "=f2", "<i8", "<U1", "|b1", "<c8", "|O", "d", "x9"])
    )
    items = [
        f"{text('descr')}{gap()}:{gap()}{text(descr)}",
        f"{text('fortran_order')}{gap()}:{gap()}{draw(st.sampled_from(['True', 'False']))}",
        f"{text('shape')}{gap()}:{gap()}({gap()}{shape}{gap()})",
    ]
    order = draw(st.permutations(items))
    return f"{{{gap()}{f'{gap()},{gap()}'.join(order)}{gap()}{draw(st.sampled_from(['', ',', ', ']))}}}{gap()}\n"


@given(headers(), st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00"]), st.sampled_from([4, 12, 24, 48, 96]))
@settings(max_examples=400)
def test_a_header_is_parsed_as_by_numpy(header: str, version: bytes, size: int) -> None:
    if version == b"\x03\x00" and "L" in header:
        header = header.replace("L", "")  # version 3.0 is newer than Python 2 and its long integers
    body = file_of(header, DATA * 2, version)[: len(file_of(header, b"", version)) + size]
    expected, found = numpys(body), ours(body)
    assert (found is None) == (expected is None), header
    if found is not None and expected is not None:
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)


@given(headers(), st.data())
@settings(max_examples=400)
def test_a_damaged_header_is_rejected_or_parsed_as_by_numpy(header: str, data: st.DataObject) -> None:
    content = bytearray(file_of(header))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - len(DATA)))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"-", b"(", b"0x", b"_", b"True", b"'", b"\\", b"L", b"9", b"{"])
        )
    found = ours(bytes(content))
    if found is not None:
        expected = numpys(bytes(content))
        assert expected is not None
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0x" + "f" * 4000 + ", 6), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 4000 + ", 6), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 12), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -6), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0, 6), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ((2, 6)), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (12), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 6], }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 12, }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 6), }",
        "{'descr': '<f4', 'fortran_order': None, 'shape': (2, 6), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 6), }",
        "{'descr': ('<f4', (6,)), 'fortran_order': False, 'shape': (2,), }",
        "{'descr': 'f4,f4', 'fortran_order': False, 'shape': (2, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6), 'shape': (1, 12), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, }",
        "{'descr': 'f1', 'fortran_order': False, 'shape': (2, 6)}",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (2, 6)}",
        "('descr', '<f4')",
        "[" * 5000,
        "{" * 5000,
        "(" * 9000,
        "",
        "\0" * 100,
        "__import__('os').abort()",
    ],
)
def test_a_header_that_numpy_does_not_write_is_rejected(header: str) -> None:
    assert ours(file_of(header)) is None


def test_many_or_large_sizes_are_rejected_before_they_are_multiplied() -> None:
    for sizes in (["1"] * 40, ["9" * 18] * 32, ["0"] * 33):
        assert ours(file_of(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({', '.join(sizes)}), }}")) is None


@pytest.mark.parametrize("length", [0, 5, 6, 7, 8, 9, 10, 20])
def test_a_truncated_file_is_rejected(length: int) -> None:
    assert ours(npy.write(np.zeros((2, 6), "<f4"))[:length]) is None


def test_an_empty_array_of_sizes_that_numpy_cannot_hold_is_rejected() -> None:
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 99999999999999999, 99999999999999999), }"
    assert request_error(rows_from_npy, file_of(header, b""), TABLE) == (
        "the .npy file promises an array (0, 99999999999999999, 99999999999999999), which numpy cannot hold"
    )


def test_a_long_header_is_rejected() -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6), }"
    assert ours(file_of(header.ljust(10_000))) is not None
    with pytest.raises(RequestError, match=r"the \.npy file's header has 10001 bytes, expected at most 10000"):
        npy.read(file_of(header.ljust(10_001)))
    with pytest.raises(RequestError, match=r"the \.npy file's header has 4294967295 bytes"):
        npy.read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")


# Rows

NUMBERS = "expected float or integer numbers of up to 64 bits, such as '<f4'"


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "f2", "u1", "i1", "<i2", ">i4", "<i8", "<u8"])
@pytest.mark.parametrize("shape", [(5, 6), (5, 2, 3), (6,), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_every_dtype_shape_and_order_are_read(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape), dtype, order=order)
    np.testing.assert_array_equal(rows_from_npy(saved(array), PIXELS), array.reshape(-1, 6))


@given(arrays_of.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 4))))
def test_numpy_reads_what_is_written(array: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(npy.write(array)), allow_pickle=False), array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([["a"] * 6]), f"the array is of dtype '<U1', {NUMBERS}"),
        (np.ones((1, 6), bool), f"the array is of dtype '|b1', {NUMBERS}"),
        (np.ones((1, 6), complex), f"the array is of dtype '<c16', {NUMBERS}"),
        (np.ones((6, 1)), "the array has shape (6, 1), expected (rows, 6) or (rows, 2, 3)"),
        (np.ones(()), "the array has shape (), expected (rows, 6) or (rows, 2, 3)"),
        (np.ones((0, 6)), "there are zero rows; send one or more"),
        (np.ones((101, 6)), "there are 101 rows, expected at most 100; send several requests"),
    ],
)
def test_an_npy_file_without_valid_rows_is_rejected(array: NDArray[Any], message: str) -> None:
    assert request_error(rows_from_npy, saved(array), PIXELS) == message


def test_a_pickle_in_an_npy_file_is_not_opened() -> None:
    body = saved(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "dtype '|O'" in request_error(rows_from_npy, body, PIXELS)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(version: tuple[int, int]) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ones((2, 6)), version)
    assert rows_from_npy(file.getvalue(), PIXELS).shape == (2, 6)


def test_an_unknown_version_is_rejected() -> None:
    body = saved(np.ones((1, 6))).replace(b"NUMPY\x01\x00", b"NUMPY\x01\x01")
    assert request_error(rows_from_npy, body, PIXELS) == (
        "the body is a .npy file of version (1, 1), expected (1, 0), (2, 0) or (3, 0)"
    )


def test_a_header_is_checked_against_the_files_length() -> None:
    body = saved(np.ones((1, 6)))
    lying = body.replace(b"(1, 6), }" + b" " * 11, b"(999999999999, 6), }")
    assert len(lying) == len(body)
    assert request_error(rows_from_npy, lying, PIXELS) == (
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


def test_only_doubles_that_fit_float32_are_accepted() -> None:
    with pytest.raises(InvalidInput, match="row 0, feature 'p0' is larger than float32 holds"):
        rows_from_npy(saved(np.full((1, 6), 1e39)), PIXELS)
    assert rows_from_npy(saved(np.full((1, 6), 3e38)), PIXELS).max() == 3e38


@given(st.integers(0, 2**32 - 1), st.sampled_from(["<f4", ">f4", "<f8"]))
def test_rows_of_a_table_are_codes_and_nan_for_missing_values(seed: int, dtype: str) -> None:
    rows = values_of(PEOPLE_FEATURES, 3, seed)
    np.testing.assert_array_equal(rows_from_npy(saved(rows.astype(dtype)), PEOPLE), rows)
    np.testing.assert_array_equal(rows_from_raw(rows.tobytes(), None, PEOPLE), rows)


@pytest.mark.parametrize(("column", "code"), [(2, 2), (3, 3), (3, 0.5), (4, -1), (4, 3)])
def test_the_error_for_an_invalid_code_names_row_and_feature(column: int, code: float) -> None:
    array = np.ones((3, 5), "<f4")
    array[2, column] = code
    for read, body in ((rows_from_npy, (saved(array),)), (rows_from_raw, (array.tobytes(), None))):
        with pytest.raises(InvalidInput) as caught:
            read(*body, PEOPLE)
        assert (caught.value.fault.row, caught.value.fault.feature) == (2, PEOPLE_FEATURES[column].name)


@given(st.data())
def test_a_damaged_npy_file_is_rejected_or_read_as_by_numpy(data: st.DataObject) -> None:
    body = bytearray(saved(np.arange(12, dtype="<f4").reshape(2, 6)))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        rows = rows_from_npy(bytes(body), PIXELS)
    except (InvalidInput, MalformedBody):
        return
    np.testing.assert_array_equal(rows, np.load(io.BytesIO(bytes(body)), allow_pickle=False).reshape(-1, 6))
