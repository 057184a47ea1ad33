"""Query parameters: parsed or rejected."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidOption
from service.http.options import Options, from_query
from tests.service.errors import error_message


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (None, Options()),
        ("", Options()),
        ("top_k=3", Options(top_k=3)),
        ("probabilities=false", Options(probabilities=False)),
        ("probabilities=0&timing=1", Options(probabilities=False, timing=True)),
        ("dtype=uint8&top_k=1&timing=true", Options(top_k=1, timing=True, dtype="uint8")),
        ("top%5Fk=2", Options(top_k=2)),
        ("resize=true", Options(resize=True)),
        ("top_k=1&", Options(top_k=1)),
    ],
)
def test_options_are_parsed(query: str | None, options: Options) -> None:
    assert from_query(query, 3) == options


@pytest.mark.parametrize(
    ("query", "classes", "message"),
    [
        ("topk=1", 3, "unknown query parameter 'topk'; did you mean 'top_k'?"),
        (
            "zzz=1",
            3,
            "unknown query parameter 'zzz'; there are: top_k, probabilities, timing, dtype, resize, ignore_unknown, "
            "on_error",
        ),
        ("top_k=0", 3, "top_k is '0', expected an integer from 1 to 3, the number of classes"),
        ("top_k=4", 3, "top_k is '4', expected an integer from 1 to 3, the number of classes"),
        ("top_k=", 3, "top_k is '', expected an integer from 1 to 3, the number of classes"),
        ("top_k=%2B1", 3, "top_k is '+1', expected an integer from 1 to 3, the number of classes"),
        ("top_k=%D9%A1", 3, "top_k is '\u0661', expected an integer from 1 to 3, the number of classes"),
        (
            "top_k=000000001999",
            3,
            "top_k is '000000001999', expected an integer from 1 to 3, the number of classes",
        ),
        ("top_k=1&top_k=2", 3, "query parameter top_k is sent twice; send it once"),
        ("top_k=1&timing=1&top%5fk=1", 3, "query parameter top_k is sent twice; send it once"),
        ("top_k=%1", 3, "the query string 'top_k=%1' has a % without two hexadecimal digits; write %25 for it"),
        ("%zz=1", 3, "the query string '%zz=1' has a % without two hexadecimal digits; write %25 for it"),
        ("dtype=%ff", 3, "the query string 'dtype=%ff' is not UTF-8 after decoding its % escapes"),
        ("&" * 1001, 3, "the query string has 1001 characters, expected at most 1000"),
        ("dtype=object", 3, "dtype is 'object', expected float32, float64 or uint8"),
        ("probabilities=yes", 3, "probabilities is 'yes', expected true or false"),
        ("timing", 3, "timing is '', expected true or false"),
        (
            "top_k=1",
            0,
            "top_k means nothing here, as this model predicts numbers and no classes; leave it out",
        ),
    ],
)
def test_an_invalid_query_is_rejected(query: str, classes: int, message: str) -> None:
    assert error_message(InvalidOption, from_query, query, classes) == message


@given(st.text() | st.text(alphabet="top_k=probabilities&timing%0123456789", max_size=40))
def test_every_query_is_parsed_or_rejected(query: str) -> None:
    with contextlib.suppress(InvalidOption):
        assert 0 <= from_query(query, 3).top_k <= 3
