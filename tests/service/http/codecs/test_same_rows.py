"""The same rows give the same numbers in every encoding, bit for bit."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.http.codecs import npy
from service.inference import columns
from service.inference.schema import Schema
from tests.service.errors import request_error
from tests.service.http.codecs.tables import FEATURES, GOOD, NAMES, arrow_table, as_arrow, as_csv, as_split, rows_of

JSON, CSV, ARROW = "application/json", "text/csv", "application/vnd.apache.arrow.stream"
RAW, NPY = "application/octet-stream", "application/x-npy"
IGNORE = {"ignore_unknown": True}

numbers = st.floats(-1e38, 1e38, allow_nan=False) | st.floats(width=16, allow_nan=False, allow_infinity=False)
rows_by_name = st.lists(
    st.fixed_dictionaries(
        {
            "income": st.none() | st.just(-999.0) | numbers,
            "height": numbers,
            "member": st.none() | st.booleans(),
            "active": st.booleans(),
            "city": st.none() | st.sampled_from(["Köln, Dom", 'a "b"', "NA", "10115"]),
            "job": st.sampled_from(["cook", "two\nlines", "something else"]),
        }
    ),
    min_size=1,
    max_size=6,
)


def same(found: NDArray[Any], expected: NDArray[Any]) -> None:
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    known = ~np.isnan(expected)
    assert found.astype(np.float64)[known].tobytes() == expected[known].tobytes()


@given(rows_by_name, st.permutations(NAMES), st.sampled_from([None, "lz4", "zstd"]), st.integers(1, 6))
@settings(max_examples=150)
def test_a_table_gives_the_same_numbers_in_every_encoding(
    rows: list[dict[str, Any]], names: list[str], compression: str | None, chunk: int
) -> None:
    expected = rows_of(JSON, json.dumps({"inputs": rows}).encode())
    by_label = {name: {str(at): row[name] for at, row in enumerate(rows)} for name in names}
    nan = [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
    table = arrow_table([rows[0], *rows, rows[0]], names).slice(1, len(rows))
    positions = as_csv(rows, NAMES, header=False, delimiter=";")
    for found in (
        rows_of(JSON, json.dumps(rows).encode()),
        rows_of(JSON, json.dumps({"dataframe_records": nan}).encode()),
        rows_of(JSON, json.dumps({"inputs": [[row[name] for name in NAMES] for row in rows]}).encode()),
        rows_of(JSON, as_split(rows, names)),
        rows_of(JSON, b'{"dataframe_split": %b}' % as_split(rows, names)),
        rows_of(JSON, json.dumps(by_label).encode()),
        rows_of(JSON, json.dumps({"instances": {name: [row[name] for row in rows] for name in names}}).encode()),
        rows_of(CSV, as_csv(rows, names)),
        rows_of(CSV, as_csv(rows, names, delimiter="\t")),
        rows_of(CSV, positions, parameters={b"header": b"absent"}),
        rows_of(ARROW, as_arrow(table, compression, chunk)),
        rows_of(NPY, npy.write(expected)),
    ):
        same(found, expected)
    rounded = expected.astype("<f4")
    same(rows_of(RAW, rounded.tobytes()), rounded.astype(np.float64))


@given(rows_by_name, st.data())
@settings(max_examples=100)
def test_a_column_that_may_be_missing_may_be_absent_in_every_encoding(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    absent = data.draw(st.sets(st.sampled_from(["income", "member", "city"])))
    names = [name for name in NAMES if name not in absent]
    expected = rows_of(JSON, json.dumps([row | dict.fromkeys(absent) for row in rows]).encode())
    surplus = [row | {"extra": "x"} for row in rows]
    arrow = arrow_table(rows, names).append_column("extra", [[["nested"]] * len(rows)])
    for found in (
        rows_of(JSON, json.dumps([{name: row[name] for name in names} for row in rows]).encode()),
        rows_of(JSON, json.dumps([{n: row[n] for n in [*names, "extra"]} for row in surplus]).encode(), **IGNORE),
        rows_of(JSON, as_split(surplus, ["extra", *names]), **IGNORE),
        rows_of(CSV, as_csv(surplus, ["extra", *names]), **IGNORE),
        rows_of(ARROW, as_arrow(arrow), **IGNORE),
    ):
        same(found, expected)


def test_names_are_those_of_the_training_file_in_every_encoding() -> None:
    """Training strips names, and writes one of several lines in one."""
    features = [replace(each, name=name) for each, name in zip(FEATURES, ("a b", "c", *NAMES[2:]), strict=True)]
    schema = Schema((6,), tuple(map(columns.of, features)), 1000, ignored=frozenset({"target", ""}))
    own = ["a\n b", " c", *NAMES[2:], "target ", ""]
    row = dict(zip(own, [*GOOD.values(), 1, 0], strict=True))
    expected = rows_of(JSON, json.dumps([list(GOOD.values())] * 2).encode(), schema)
    table = pa.table({name: [value] * 2 for name, value in row.items()})
    for found in (
        rows_of(JSON, json.dumps([row, row]).encode(), schema),
        rows_of(JSON, json.dumps([row, row | {"member": 1}]).encode(), schema),
        rows_of(JSON, as_split([row] * 2, own), schema),
        rows_of(JSON, json.dumps({name: [value] * 2 for name, value in row.items()}).encode(), schema),
        rows_of(CSV, as_csv([row] * 2, own), schema),
        rows_of(ARROW, as_arrow(table), schema),
    ):
        same(found, expected)
    same(rows_of(JSON, json.dumps(row).encode(), schema), expected[:1])
    large = json.dumps([row] * 900).encode()
    same(rows_of(JSON, large, schema), np.repeat(expected[:1], 900, axis=0))


def test_two_names_that_training_writes_alike_are_not_confused() -> None:
    row = {**GOOD, " job": "x"}
    message = request_error(rows_of, JSON, json.dumps([row]).encode())
    assert message == (
        "row 0 has a feature ' job' that the model does not know; leave it out, or say ?ignore_unknown=true"
    )
