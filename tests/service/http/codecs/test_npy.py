"""Headers of .npy files against numpy's own reader, which evaluates what we only match."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import InvalidInput, MalformedBody, RequestError
from service.http.codecs import npy

DATA = np.arange(12, dtype="<f4").tobytes()
ADVICE = (" at 0x", "allow_pickle", "literal_eval", "sys.", "Traceback", "node")


def file_of(header: str | bytes, data: bytes = DATA, version: bytes = b"\x01\x00") -> bytes:
    content = header.encode("latin-1") if isinstance(header, str) else header
    return b"\x93NUMPY" + version + len(content).to_bytes(2 if version == b"\x01\x00" else 4, "little") + content + data


def numpys(body: bytes) -> NDArray[Any] | None:
    """What numpy reads, if that is an array of numbers of which the data is as long as it says."""
    file = io.BytesIO(body)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # noqa: BLE001 - it raises of every kind
        return None
    fits = isinstance(array, np.ndarray) and array.dtype.kind in "fiu" and array.dtype.itemsize <= 8
    return array if fits and not file.read(1) else None


def ours(body: bytes) -> NDArray[Any] | None:
    try:
        return npy.read(body)
    except (MalformedBody, InvalidInput) as error:
        told = str(error)
    assert not any(advice in told for advice in ADVICE), told
    assert len(told) < 300
    return None


spaces = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def headers(draw: st.DrawFn) -> str:
    """A header as anybody writes it, of which numpy and we must think the same."""

    def text(value: str) -> str:
        mark = draw(st.sampled_from("'\""))
        return f"{mark}{value}{mark}"

    gap = lambda: draw(spaces)  # noqa: E731
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
def test_a_header_is_understood_as_numpy_understands_it(header: str, version: bytes, size: int) -> None:
    if version == b"\x03\x00" and "L" in header:
        header = header.replace("L", "")  # Python 2 wrote none of that version
    body = file_of(header, DATA * 2, version)[: len(file_of(header, b"", version)) + size]
    expected, found = numpys(body), ours(body)
    assert (found is None) == (expected is None), header
    if found is not None and expected is not None:
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)


@given(headers(), st.data())
@settings(max_examples=400)
def test_a_damaged_header_is_refused_or_understood_as_numpy_understands_it(header: str, data: st.DataObject) -> None:
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
def test_a_header_that_numpy_does_not_write_is_refused(header: str) -> None:
    assert ours(file_of(header)) is None


def test_many_sizes_and_large_ones_are_not_multiplied_in_vain() -> None:
    for sizes in (["1"] * 40, ["9" * 18] * 32, ["0"] * 33):
        assert ours(file_of(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({', '.join(sizes)}), }}")) is None


@pytest.mark.parametrize("length", [0, 5, 6, 7, 8, 9, 10, 20])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    assert ours(npy.write(np.zeros((2, 6), "<f4"))[:length]) is None


def test_a_header_has_a_bound_on_its_length() -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 6), }"
    assert ours(file_of(header.ljust(10_000))) is not None
    with pytest.raises(RequestError, match=r"the \.npy file's header has 10001 bytes, expected at most 10000"):
        npy.read(file_of(header.ljust(10_001)))
    with pytest.raises(RequestError, match=r"the \.npy file's header has 4294967295 bytes"):
        npy.read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff")
