"""The data of tensors in JSON: found as a JSON parser finds them, and read as numpy reads them."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RequestError
from service.http.codecs import json_tensors
from service.inference.steps import Steps, finish

strings = st.text(st.sampled_from('ab"\\[]{},:data \u2603'), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | strings, lambda each: st.lists(each, max_size=4), max_leaves=10
)
documents = st.recursive(
    values,
    lambda each: (
        st.dictionaries(st.sampled_from(["data", "name", 'da"ta', "x"]), each, max_size=3) | st.lists(each, max_size=3)
    ),
    max_leaves=12,
)


def to_number(_at: int, value: object) -> float:
    assert value is None or isinstance(value, int | float)
    return float("nan") if value is None else float(value)


def emptied(document: Any, found: list[Any]) -> Any:
    """The document with an empty list for each list under a key ``data``, which are added to ``found``."""
    if isinstance(document, list):
        return [emptied(each, found) for each in document]
    if not isinstance(document, dict):
        return document
    result = {}
    for key, value in document.items():
        if key == "data" and isinstance(value, list):
            found.append(value)
            result[key] = []
        else:
            result[key] = emptied(value, found)
    return result


@given(document=documents, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_documents_are_split_where_a_parser_finds_the_data(document: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    found: list[Any] = []
    skeleton = emptied(document, found)
    for split in (json_tensors.split_at_once(text, 100), finish(json_tensors.split(text, 100))):
        assert json.loads(split.skeleton) == skeleton
        assert [json.loads(each) for each in split.data] == found


@given(st.binary(max_size=40).map(lambda noise: b'{"data":[' + noise))
def test_what_is_no_json_ends_in_an_error_or_a_skeleton(text: bytes) -> None:
    with contextlib.suppress(RequestError):
        finish(json_tensors.split(text, 1000))


@pytest.mark.parametrize("shape", [(30_000,), (10_000, 3), (1, 30_000), (2_500, 3, 4), (30_000, 1)])
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("missing", [True, False])
def test_numbers_are_read_as_numpy_reads_them(
    shape: tuple[int, ...], nested: bool, indent: int | None, missing: bool
) -> None:
    array = np.random.default_rng(0).normal(0, 1, shape)
    data: Any = (array if nested else array.reshape(-1)).tolist()
    text = json.dumps(data, indent=indent)
    expected = array.reshape(-1).copy()
    if missing:
        first = text.index(repr(float(expected[7])))
        text = f"{text[:first]}null{text[first + len(repr(float(expected[7]))) :]}"
        expected[7] = np.nan
    found = finish(json_tensors.read(text.encode(), shape, to_number, numeric=True))
    assert np.array_equal(found, expected, equal_nan=True)


WRONG = [
    (lambda text: text.replace("],[", ",", 1), "a list of"),
    (lambda text: text.replace("],[", "]],[[", 1), "fewer"),
    (lambda text: text.replace("],[", "][", 1), "not JSON"),
    (lambda text: text.replace("],[", "],,[", 1), "not JSON"),
    (lambda text: text[:-2] + ",]]", "not JSON"),
    (lambda text: text[:-1] + ",[1.0,2.0,3.0]]", "more"),
    (lambda text: text[: text.rindex(",[")] + "]", "fewer"),
    (lambda text: text[:-2] + ",1.0]]", "a list of 4"),
    (lambda text: text.replace("],[", " ],5,[", 1), "a number where a list of 3 belongs"),
]


@pytest.mark.parametrize(("damage", "message"), WRONG)
@pytest.mark.parametrize("rows", [4, 20_000])
def test_lists_that_are_not_of_the_shape_are_errors(damage: Any, message: str, rows: int) -> None:
    text = json.dumps(np.arange(rows * 3.0).reshape(rows, 3).tolist(), separators=(",", ":"))
    with pytest.raises(RequestError, match=message):
        finish(json_tensors.read(damage(text).encode(), (rows, 3), to_number, numeric=True))


def longest_step_s(steps: Steps[Any]) -> float:
    longest = 0.0
    while True:
        started_s = time.perf_counter()
        try:
            next(steps)
        except (StopIteration, RequestError):
            return longest
        finally:
            longest = max(longest, time.perf_counter() - started_s)


MB = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        b'{"data":[' + b"1," * (4 * MB) + b"1]}",
        b'{"data":[' + b"[1]," * (2 * MB) + b"[1]]}",
        b'{"data":' + b"[" * (8 * MB),
        b'{"data":["' + b'\\"' * (4 * MB),
        b'{"data":["a",' + b'"b",' * (2 * MB) + b'"c"]}',
        b'{"data":["a",' + b" " * (8 * MB) + b'"c"]}',
        b'{"data":["["' * MB,
        b'{"data":["["],' * MB,
        b'"data"' * MB,
        b'"data":' * MB,
        b'{"data"' + b" " * (8 * MB) + b":[1]}",
    ],
    ids=lambda text: text[:20].decode(),
)
def test_no_step_of_a_large_document_takes_long(text: bytes) -> None:
    assert longest_step_s(json_tensors.split(text, 1000)) < 0.25  # the machine may be busy
