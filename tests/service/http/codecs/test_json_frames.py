"""Tables in JSON as pandas and MLflow write them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from service.http.codecs import json_rows
from service.http.codecs.json_rows import rows_from_json
from service.inference.schema import Schema
from tests.service.errors import request_error
from tests.service.http.codecs.schemas import TABLE, numbers
from tests.service.http.codecs.tables import SCHEMA, rows_of

JSON = "application/json"
FRAME = pd.DataFrame(
    {
        "income": [2.5, None, -999.0],
        "height": np.array([1.5, 1.75, 2], np.float32),
        "member": pd.array([True, None, False], "boolean"),
        "active": [True, False, True],
        "city": pd.array([10115, None, 10115], "Int64"),
        "job": pd.Categorical(["cook", "x", "cook"]),
    }
)
EXPECTED = [[2.5, 1.5, 1, 1, 3, 0], [np.nan, 1.75, np.nan, 0, np.nan, 2], [np.nan, 2, 0, 1, 3, 0]]
COLUMNS = {"a": [1, 2], "b": [3, 4], "c": [5, 6], "d": [7, 8]}


@pytest.mark.parametrize("orient", ["records", "split", "columns"])
@pytest.mark.parametrize("key", [None, "inputs", "instances", "dataframe_records"])
def test_what_pandas_writes_is_read(orient: Any, key: str | None) -> None:
    text = FRAME.to_json(orient=orient)
    body = text if key is None else f'{{"{key}": {text}}}'
    np.testing.assert_array_equal(rows_of(JSON, body.encode()), EXPECTED)


def test_dictionaries_of_pandas_with_nan_are_read() -> None:
    frame = FRAME.assign(member=[1.0, np.nan, 0.0], city=["10115", None, "10115"])
    for document in (frame.to_dict("records"), {"inputs": frame.to_dict("list")}, frame.to_dict("split")):
        np.testing.assert_array_equal(rows_of(JSON, json.dumps(document).encode()), EXPECTED)
    body = json.dumps({"dataframe_split": frame.to_dict("split")}).encode()
    np.testing.assert_array_equal(rows_of(JSON, body), EXPECTED)


def test_data_may_stand_before_columns_and_columns_in_any_order() -> None:
    body = b'{"data": [[8, 7, 6, 5], [4, 3, 2, 1]], "index": [1, 2], "columns": ["d", "c", "b", "a"]}'
    for content in (body, b'{"inputs": %b, "id": "x"}' % body):
        assert rows_from_json(content, TABLE).tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]


def test_rows_by_label_are_matched_across_columns() -> None:
    labelled = {name: dict(zip("xy", values, strict=True)) for name, values in COLUMNS.items()}
    labelled["c"] = {"y": 6, "x": 5}
    assert rows_from_json(json.dumps(labelled).encode(), TABLE).tolist() == [[1, 3, 5, 7], [2, 4, 6, 8]]


def test_features_called_columns_and_data_are_features() -> None:
    schema = Schema((2,), numbers("columns", "data"), 5)
    assert rows_from_json(b'{"columns": [1, 2], "data": [3, 4]}', schema).tolist() == [[1, 3], [2, 4]]
    assert rows_from_json(b'{"inputs": {"columns": 1, "data": 3}}', schema).tolist() == [[1, 3]]


def test_one_row_without_a_key_is_read() -> None:
    assert rows_from_json(b'{"a": 1, "b": 2, "c": 3, "d": 4}', TABLE).tolist() == [[1, 2, 3, 4]]
    assert rows_from_json(b"[1, 2, 3, 4]", TABLE).tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"inputs": [[1, 2, 3, 4]], "dataframe_split": {}},
         "the body has both of the keys 'inputs' and 'dataframe_split'; send one of them"),
        ({"dataframe_split": [[1]]}, "'dataframe_split' is a list, expected an object with 'columns' and 'data'"),
        ({"dataframe_split": {"data": []}}, "the table has no key 'columns', expected 'columns' and 'data'"),
        ({"columns": "abcd", "data": []}, "'columns' is the string 'abcd', expected a list of feature names"),
        ({"columns": ["a", "b"], "data": []}, "the table has no features 'c', 'd'; send all 4"),
        ({"columns": [*"abcde"], "data": []},
         "the table has a feature 'e' that the model does not know; leave it out, or say ?ignore_unknown=true"),
        ({"columns": [*"abcda"], "data": []}, "there are several columns 'a'; send one"),
        ({"columns": [*"abcd"], "data": []}, "there are zero rows; send one or more"),
        ({"columns": [*"abcd"], "data": {}}, "data is an object, expected a list of rows"),
        ({"columns": [*"abcd"], "data": [1, 2, 3, 4]}, "row 0 is a number, expected 4 values, as there are columns"),
        ({"columns": [*"abcd"], "data": [[1, 2, 3]]}, "row 0 has 3 values, expected 4 values, as there are columns"),
        (COLUMNS | {"d": [7]}, "feature 'd' has 1 values, expected 2 as the one before"),
        (COLUMNS | {"d": 7}, "feature 'd' is a number, expected the values of all rows as of other features"),
        (COLUMNS | {"d": [7, "x"]}, "row 1, feature 'd' is the string 'x', expected a number"),
        (COLUMNS | {"e": []},
         "the table has a feature 'e' that the model does not know; leave it out, or say ?ignore_unknown=true"),
        ({name: {"x": 1} for name in "abc"} | {"d": {"y": 1}},
         "feature 'd' has a value for row 'y', which the features before it do not have"),
        ({name: [1] * 4 for name in "abcd"}, "there are 4 rows, expected at most 3; send several requests"),
        ({name: [] for name in "abcd"}, "there are zero rows; send one or more"),
    ],
)  # fmt: skip
def test_the_error_says_what_is_wrong_with_a_table(document: object, message: str) -> None:
    assert request_error(rows_from_json, json.dumps(document).encode(), TABLE) == message


@pytest.mark.parametrize("orient", ["records", "split", "columns"])
def test_large_tables_are_read_in_short_steps(orient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_AT_ONCE_BYTES", "_PIECE_BYTES"):
        monkeypatch.setattr(json_rows, name, 1000)
    many = pd.concat([FRAME] * 300, ignore_index=True)
    body = many.to_json(orient=orient).encode()
    steps = json_rows.rows_in_steps(body, json_rows.RowReader(SCHEMA))
    count = 0
    try:
        while True:
            next(steps)
            count += 1
    except StopIteration as end:
        np.testing.assert_array_equal(end.value, EXPECTED * 300)
    assert count > 3
