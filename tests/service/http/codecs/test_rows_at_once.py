"""Rows that are read many at once: the same numbers and errors as row by row, whatever is in them."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.cells import Cells
from service.errors import RequestError
from service.http.codecs import fast_json, json_rows, json_text
from service.http.codecs.codec import PartialRows, steps_with_faults
from service.http.codecs.json_row import RowReader
from service.http.options import RowOptions
from service.inference import columns
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.steps import finish
from service.manifest import Feature
from tests.service.http.codecs.tables import BY_TYPE, FEATURES, GOOD, decode

JSON = "application/json"
MORE_FEATURES = (
    *FEATURES,
    Feature("when", "numeric", True, (), False, 0.0, 1.0, 0.0, 1.0, format="year-month-day"),
    Feature("day", "numeric", False, (), False, 0.0, 1.0, 0.0, 1.0, format="yyyymmdd", default=3.0),
    Feature("size", "categorical", False, ("1", "2.0", "true", "18446744073709551617"), False, 0, 0, 0, 0, default=1.0),
    Feature("count", "numeric", False, (), False, 0.0, 1.0, 0.0, 1.0, default=7.0),
)
NAMES = [feature.name for feature in MORE_FEATURES]
PERSON = GOOD | {"when": "2020-01-31T17:30", "day": "20200131", "size": "1", "count": 4}
TEXTS = Cells(missing_numbers=("-999", "NA"))
TABLES = [
    Schema(
        (len(NAMES),),
        tuple(columns.of(each, cells, impute=impute) for each in MORE_FEATURES),
        8,
        ignored=frozenset(("target", "id")),
        defaults=np.zeros(len(NAMES)) if impute else None,
    )
    for cells in (TEXTS, Cells(), None)
    for impute in (False, True)
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from([2**53, 2**53 + 1, 2**63, 2**64 + 1, 10**30, 10**39, -(10**400), 1e39, -0.0, 3.5, 10115, 20200131]),
    st.sampled_from(["", " ", "NA", "NaN", "12", "-999", "1e3", "true", "0", "cook", "x", "10115", " 10115", "1", "2"]),
    st.sampled_from(["2020-01-31", "20200131", "31.12.2020", "12:30", "a:b", "{", '"},{"', "\ud800", "é", "],["]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from("ab"), scalars, max_size=2))


@st.composite
def messy_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of the table, in most of which something is odd."""
    rows = [dict(PERSON) for _ in range(draw(st.integers(1, 9)))]
    if draw(st.booleans()):
        rows = [dict(draw(st.permutations(list(row.items())))) for row in rows]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.sampled_from(rows))
        change = draw(st.sampled_from(["value", "value", "drop", "extra", "ignored", "all"]))
        if change == "value":
            row[draw(st.sampled_from(NAMES))] = draw(values)
        elif change == "drop":
            row.pop(draw(st.sampled_from(NAMES)), None)
        else:
            name = draw(st.sampled_from(["target", "id"] if change == "ignored" else ["other", "target", "city "]))
            for each in rows if change == "all" else [row]:
                each[name] = draw(values)
    return rows


class OneByOne(RowReader):
    """The oracle: it reads each row on its own."""

    def at_once(self, rows: Sequence[Any]) -> NDArray[np.float64] | None:  # noqa: ARG002 - as the base class
        return None

    def placed(self, places: Sequence[int | None], length: int) -> RowReader:
        return OneByOne(
            self.schema, ignore_unknown=self.ignore_unknown, faults=self.faults, places=places, length=length
        )


def outcome(rows: Any) -> object:
    if isinstance(rows, PartialRows):
        return repr(rows.rows.tolist()), rows.faults.faults()
    return repr(rows.tolist())


def expected(body: bytes, schema: Schema, options: RowOptions) -> object:
    faults = RowFaults() if options.by_row else None
    steps = json_rows.rows_in_steps(body, OneByOne(schema, ignore_unknown=options.ignore_unknown, faults=faults))
    try:
        return outcome(finish(steps if faults is None else steps_with_faults(steps, faults)))
    except RequestError as error:
        return type(error), str(error), getattr(error, "more", None)


def found(body: bytes, schema: Schema, options: RowOptions) -> object:
    try:
        return outcome(decode(JSON, body, schema, options))
    except RequestError as error:
        return type(error), str(error), getattr(error, "more", None)


def as_text(rows: Any, *, layout: str = "%s", repeat: int = 0, **how: Any) -> bytes:
    """A document, in which the first key of the last row may be there twice, with and without blanks."""
    text = json.dumps(rows, **how)
    if repeat and isinstance(rows, list) and isinstance(rows[-1], dict) and rows[-1]:
        key = json.dumps(next(iter(rows[-1])))
        at = text.rindex("}")
        text = f"{text[:at]},{key}{' ' * (repeat - 1)}:1{text[at:]}"
    return (layout % text).encode(errors="surrogatepass")


def make_large(patch: pytest.MonkeyPatch, limit_bytes: int) -> None:
    """Let a few rows be a large body, and a piece of it; which of two errors comes first depends on the window."""
    for name in ("_WHOLE_BYTES", "_AT_ONCE_BYTES", "_PIECE_BYTES"):
        patch.setattr(json_rows, name, limit_bytes)
    patch.setattr(json_text, "WINDOW_BYTES", limit_bytes)


options_of = st.builds(
    lambda by_row, ignore: RowOptions(by_row=by_row, ignore_unknown=ignore), st.booleans(), st.booleans()
)
layouts = st.sampled_from(
    ["%s", '{"inputs":%s}', '{"id":"a:b","instances" : %s}', '{"parameters":{"a":1},"dataframe_records":%s}']
)
hows = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@pytest.mark.parametrize("limit", [None, 100])
@given(
    rows=messy_rows(),
    schema=st.sampled_from(TABLES),
    options=options_of,
    layout=layouts,
    how=hows,
    repeat=st.sampled_from([0, 0, 0, 1, 2]),
)
@settings(max_examples=400)
def test_rows_by_name_are_read_at_once_as_one_by_one(
    rows: list[dict[str, Any]],
    schema: Schema,
    options: RowOptions,
    layout: str,
    how: dict[str, Any],
    repeat: int,
    limit: int | None,
) -> None:
    body = as_text(rows, layout=layout, repeat=repeat, **how)
    with pytest.MonkeyPatch.context() as patch:
        if limit is not None:
            make_large(patch, limit)
        assert found(body, schema, options) == expected(body, schema, options)


@pytest.mark.parametrize("limit", [None, 100])
@given(
    rows=messy_rows(),
    schema=st.sampled_from(TABLES),
    options=options_of,
    names=st.permutations([*NAMES, "target"]),
    kind=st.sampled_from(["lists", "split", "numbered", "nested", "columns", "labels", "mixed", "one list", "one row"]),
)
@settings(max_examples=400)
def test_rows_as_lists_and_tables_by_column_are_read_at_once_as_one_by_one(
    rows: list[dict[str, Any]],
    schema: Schema,
    options: RowOptions,
    names: list[str],
    kind: str,
    limit: int | None,
) -> None:
    lists = [[row.get(name) for name in NAMES] for row in rows]
    document: Any = {"inputs": lists}
    if kind in ("split", "numbered", "nested"):
        lists = [[row.get(name) for name in names] for row in rows]
        document = {
            "columns": [5 if name == "target" and kind == "numbered" else name for name in names],
            "data": lists,
        }
        if kind == "nested":
            document = {"dataframe_split": document}
    elif kind in ("columns", "labels", "mixed"):
        document = {name: [row.get(name) for row in rows] for name in names}
        if kind == "labels":
            document = {name: {str(at): value for at, value in enumerate(each)} for name, each in document.items()}
        if kind == "mixed":
            document["city"] = {"b": 1, "a": None}
            document["job"] = {"a": "cook", "b": "x"}
    elif kind == "one list":
        document = {"inputs": lists[0]}
    elif kind == "one row":
        document = {"inputs": rows[0]}
    body = as_text(document)
    with pytest.MonkeyPatch.context() as patch:
        if limit is not None:
            make_large(patch, limit)
        assert found(body, schema, options) == expected(body, schema, options)


@pytest.mark.parametrize(
    "text",
    [
        '[{"a":1,"a":2}]', '[{"a":1,"a" :2}]', '[{"a":":","a":2}]', '[{"a":"{:","b":{"c":1,"c":2}}]',
        '{"inputs":[{"a":1}],"inputs":[{"a":1}]}', '{"id":":","inputs":[{"a":1}],"id":2}', '[[{"a":1,"a":2}]]',
        '{"id":{"a":1,"a":2},"inputs":[{"a":":"}]}', '{"inputs":{"a":":","a":1}}', '[{"a":1},{"a":":","b":1,"b":2}]',
        '[{"a":1},[{"a":1,"a":2}]]', '{"inputs":[[1]],"inputs":[{"a":1}]}', '[1,{"a":1,"a":2}]',
    ],
)  # fmt: skip
def test_the_fast_parser_takes_no_duplicate_key(text: str) -> None:
    assert fast_json.decoded_fast(text.encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        '[{"a":1,"b":2},{"b":1}]', '[{"a":"x:y"},{"b":"z:"}]', '{"id":":","inputs":[{"a":":"},{"b":1}]}', "[[1,2]]",
        '{"inputs":{"a":":"}}', '[["12:30",1]]', '{"inputs":[]}', "[]", '{"a":1}',
    ],
)  # fmt: skip
def test_the_fast_parser_takes_rows_with_and_without_colons_in_strings(text: str) -> None:
    assert fast_json.decoded_fast(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ["[NaN]", "[1e400]", '["\\ud800"]', "", "[", '["\x01"]', "[01]", "\ufeff[1]"])
def test_what_the_fast_parser_refuses_is_left_to_the_careful_one(text: str) -> None:
    assert fast_json.decoded_fast(text.encode()) is None


def test_the_careful_parser_takes_nan() -> None:
    (value,) = fast_json.decoded(b"[NaN]")
    assert math.isnan(value)


def test_many_rows_are_decoded_in_steps() -> None:
    schema = Schema((len(NAMES),), TABLES[0].columns, 100_000)
    body = json.dumps({"inputs": [PERSON] * 5000}).encode()
    steps = BY_TYPE[JSON].decode(body, RowOptions(), schema)
    assert isinstance(steps, Generator)
    assert sum(1 for _ in steps) >= len(body) // (128 * 1024)


@pytest.mark.parametrize("count", [100, 20_000])
def test_many_rows_may_leave_out_most_features(count: int) -> None:
    schema = Schema((19,), tuple(columns.Column(f"f{index}", missing=index > 0) for index in range(19)), 20_000)
    body = json.dumps([{"f0": 1}] * count, separators=(",", ":")).encode()
    rows = decode(JSON, body, schema)
    assert isinstance(rows, np.ndarray)
    assert rows.shape == (count, 19)
    assert rows[:, 0].tolist() == [1] * count
    assert np.isnan(rows[:, 1:]).all()
