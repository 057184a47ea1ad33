"""Rows from JSON, with the standard library's parser and plain Python as the oracle."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidInput, MalformedBody, RequestError
from service.http.codecs import json_rows, json_text, regular_json
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_rows import rows_from_json
from service.http.codecs.json_text import JsonText
from service.inference import columns
from service.inference.columns import FLOAT32_MAX, Boolean, Column
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.inference.steps import finish
from tests.service.errors import error_message
from tests.service.published import TABLE, as_json, values_of


def numeric(*shape: int, max_rows: int = 20, missing: bool = False) -> Schema:
    names = (f"f{index}" for index in range(math.prod(shape)))
    return Schema(shape, tuple(Column(name, missing=missing) for name in names), max_rows)


FLAT, NESTED, ONE, CUBE = numeric(4), numeric(2, 3), numeric(1), numeric(2, 1, 2)
SCHEMAS = [FLAT, NESTED, ONE, CUBE, numeric(1, 1), numeric(1, 4), numeric(3, 3)]
OF_TABLE = Schema((len(TABLE),), tuple(map(columns.of, TABLE)), max_rows=20)
NO_ROWS = (
    "the body has no key 'inputs' (or 'instances', 'dataframe_records', 'dataframe_split'), and no feature of the "
    'model; send an object {"inputs": [row, …]} or a list of rows'
)
PERSON = {"age": 41, "height": 1.8, "member": True, "country": "Italy", "job": "nurse"}


def body(inputs: object, key: str = "inputs") -> bytes:
    return json.dumps({key: inputs}).encode()


def json_error(content: bytes, schema: Schema, error: type[RequestError] = InvalidInput) -> str:
    return error_message(error, rows_from_json, content, schema)


# The oracle


def is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) <= FLOAT32_MAX


def flattened(row: Any, shape: tuple[int, ...]) -> list[float] | None:
    """The numbers of ``row`` if it is nested to ``shape``."""
    if not shape:
        return [float(row)] if is_number(row) else None
    if not isinstance(row, list) or len(row) != shape[0]:
        return None
    parts = [flattened(part, shape[1:]) for part in row]
    return None if None in parts else [number for part in parts for number in part or ()]


def oracle_row(row: object, schema: Schema) -> list[float] | None:
    flat = flattened(row, (schema.width,))
    return flattened(row, schema.shape) if flat is None else flat


def oracle(content: bytes, schema: Schema) -> list[list[float]] | None:
    """The rows of a document if they are rows of this model, with nothing but lists and numbers."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    keys = [key for key in ("inputs", "instances") if isinstance(document, dict) and key in document]
    if len(keys) != 1 and not isinstance(document, list):
        return None
    inputs = document if isinstance(document, list) else document[keys[0]]
    single = oracle_row(inputs, schema)
    if single is not None:
        return [single]
    rows = [oracle_row(row, schema) for row in inputs] if isinstance(inputs, list) else []
    return rows if 0 < len(rows) <= schema.max_rows and None not in rows else None


def read(content: bytes, schema: Schema) -> list[list[float]] | None:
    try:
        rows = rows_from_json(content, schema)
    except (InvalidInput, MalformedBody):
        return None
    assert rows.shape == (len(rows), schema.width)
    return rows.tolist()


values = st.one_of(
    st.integers(-300, 300),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([0, -0.0, 2**63, 2**64, -(2**63), 10**30, 10**39, 1e39, -3.5e38, FLOAT32_MAX]),
)
odd_values = st.one_of(
    values, st.none(), st.booleans(), st.text(max_size=2), st.builds(list), st.builds(dict), st.floats()
)


@st.composite
def nested_lists(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    if not shape:
        return draw(values)
    return [draw(nested_lists(shape[1:])) for _ in range(shape[0])]


@st.composite
def documents(draw: st.DrawFn) -> tuple[Schema, Any]:
    """Rows of a model, or one row, most of them damaged a little: a part gone, doubled, replaced or wrapped."""
    schema = draw(st.sampled_from(SCHEMAS))
    shapes = st.sampled_from([(schema.width,), schema.shape])
    rows: Any = [draw(nested_lists(draw(shapes))) for _ in range(draw(st.integers(0, 4)))]
    if draw(st.integers(0, 3)) == 0:
        rows = draw(nested_lists(draw(shapes)))
    for _ in range(draw(st.integers(0, 2))):
        part = rows
        while part and isinstance(part[0], list) and draw(st.booleans()):
            part = draw(st.sampled_from([each for each in part if isinstance(each, list)]))
        change = draw(st.sampled_from(["drop", "double", "replace", "wrap", "move"]))
        at = draw(st.integers(0, max(len(part) - 1, 0)))
        if not part:
            part.append(draw(odd_values))
        elif change == "drop":
            del part[at]
        elif change == "double":
            part.insert(at, part[at])
        elif change == "replace":
            part[at] = draw(odd_values)
        elif change == "wrap":
            part[at] = [part[at]]
        elif isinstance(part[at], list) and isinstance(part[at - 1], list) and part[at]:
            part[at - 1].append(part[at].pop())  # ragged, with the right sum
    return schema, rows


layouts = st.sampled_from(
    [
        '{"inputs":%s}',
        ' { "instances" : %s , "parameters" : {} } ',
        '{"id":"[[","inputs":%s}',
        '{"other":[[1,2],[3]],"inputs":%s}',
        '\n{"in\\u0070uts":%s}\n',
        '{"inputs":%s,"instances":[]}',
        '{"instance":%s}',
        "%s",
    ]
)


@given(documents(), layouts, st.sampled_from([None, 1]))
@settings(max_examples=400)
def test_a_document_is_decoded_as_by_the_oracle_or_rejected(
    document: tuple[Schema, Any], layout: str, indent: int | None
) -> None:
    schema, rows = document
    content = (layout % json.dumps(rows, indent=indent)).encode()
    assert read(content, schema) == oracle(content, schema)


@given(documents(), st.data())
@settings(max_examples=300)
def test_a_damaged_document_is_decoded_as_by_the_oracle_or_rejected(
    document: tuple[Schema, Any], data: st.DataObject
) -> None:
    schema, rows = document
    content = bytearray(body(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"[", b"]", b",", b"-", b"0", b"e9", b"null", b"{", b'"'])
        )
    found = read(bytes(content), schema)
    if found is not None:
        assert found == oracle(bytes(content), schema)


@given(st.integers(0, 2**32 - 1), st.data())
def test_rows_of_a_table_are_decoded_by_name_and_by_position(seed: int, data: st.DataObject) -> None:
    expected = values_of(TABLE, data.draw(st.integers(1, 5)), seed)
    rows = []
    for row in expected:
        named = as_json(TABLE, row)
        pairs = data.draw(st.permutations(sorted(named.items())))
        rows.append(list(named.values()) if data.draw(st.booleans()) else dict(pairs))
    for inputs in (rows, rows[0]) if len(rows) == 1 else (rows,):
        np.testing.assert_array_equal(rows_from_json(body(inputs), OF_TABLE).astype(np.float32), expected)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=6)
            | st.dictionaries(st.sampled_from(sorted(PERSON)) | st.text(max_size=2), inner, max_size=6)
        ),
        max_leaves=12,
    )
)
@settings(max_examples=200)
def test_every_row_of_a_table_is_accepted_or_rejected(inputs: Any) -> None:
    rows = read(body(inputs), OF_TABLE)
    if rows is not None:
        finish(OF_TABLE.checked(np.array(rows)))


# By name


def test_a_row_by_name_needs_no_list_if_it_is_the_only_one() -> None:
    for inputs in ([PERSON], PERSON):
        assert rows_from_json(body(inputs, "instances"), OF_TABLE).tolist() == [[41, 1.8, 1, 2, 1]]
    assert rows_from_json(body([{"f0": 1.5}, [2], {"f0": 3}]), ONE).tolist() == [[1.5], [2], [3]]


def test_null_and_nan_mean_a_missing_value() -> None:
    for missing in (None, math.nan):
        row = PERSON | dict.fromkeys(("age", "member", "country"), missing)
        np.testing.assert_array_equal(
            rows_from_json(body([row, list(row.values())]), OF_TABLE), [[np.nan, 1.8, np.nan, np.nan, 1]] * 2
        )
    many = numeric(2, missing=True)
    np.testing.assert_array_equal(rows_from_json(body([[1, None], [2, 3]]), many), [[1, np.nan], [2, 3]])
    np.testing.assert_array_equal(rows_from_json(body([[1, 4], [2, 3]]), many), [[1, 4], [2, 3]])


@pytest.mark.parametrize(
    ("change", "feature", "fault"),
    [
        ({"age": "41"}, "age", "feature 'age' is the string '41', expected a number"),
        (
            {"height": None},
            "height",
            "feature 'height' is null, and the model allows no missing value here; send a number",
        ),
        ({"member": "yes"}, "member", "feature 'member' is the string 'yes', expected true or false (or 1 or 0)"),
        (
            {"country": "Frnace"},
            "country",
            "feature 'country' is the string 'Frnace', a category the model does not know; did you mean 'France'?",
        ),
        ({"country": 2}, "country", "feature 'country' is 2, expected a string such as 'France'"),
        ({"job": None}, "job", "feature 'job' is null, and the model allows no missing value here; send a string"),
        ({"job": ["nurse"]}, "job", "feature 'job' is a list, expected a string such as 'cook'"),
    ],
)
def test_the_error_for_a_value_of_a_table_names_row_and_column(
    change: dict[str, Any], feature: str, fault: str
) -> None:
    row = PERSON | change
    for bad in (row, list(row.values())):
        with pytest.raises(InvalidInput) as caught:
            rows_from_json(body([PERSON, PERSON, bad, {}]), OF_TABLE)
        assert str(caught.value) == f"row 2, {fault}"
        assert (caught.value.fault.row, caught.value.fault.feature) == (2, feature)


def test_numbers_in_json_are_not_codes_of_categories() -> None:
    assert json_error(body([[41, 1.8, 1, 2, 1]]), OF_TABLE) == (
        "row 0, feature 'country' is 2, expected a string such as 'France' (also bad in this row: 'job')"
    )
    switches = Schema((2,), tuple(Boolean(name, missing=False) for name in "ab"), max_rows=2)
    assert rows_from_json(body([[1, 0], [True, False]]), switches).tolist() == [[1, 0], [1, 0]]
    assert json_error(body([[1, 0], [0, 2]]), switches) == "row 1, feature 'b' is 2, expected true or false (or 1 or 0)"


def without(name: str) -> dict[str, object]:
    return {each: value for each, value in PERSON.items() if each != name}


def test_an_absent_key_is_null_if_its_value_may_be_missing_and_else_an_error() -> None:
    np.testing.assert_array_equal(
        rows_from_json(body([PERSON, without("age")]), OF_TABLE), [[41, 1.8, 1, 2, 1], [np.nan, 1.8, 1, 2, 1]]
    )
    assert json_error(body([PERSON, without("height")]), OF_TABLE) == (
        "row 1 has no feature 'height'; send all 5, null for a missing value"
    )
    assert json_error(body([without("height") | {"hieght": 1.8}]), OF_TABLE) == (
        "row 0 has no feature 'height'; send all 5, null for a missing value (there is a feature 'hieght' that the "
        "model does not know)"
    )
    assert json_error(body([{}]), numeric(2, missing=True)) == (
        "row 0 has none of the model's features; send all 2, null for a missing value"
    )
    assert json_error(body([{"f0": 1}]), FLAT) == "row 0 has no features 'f1', 'f2', 'f3'; send all 4"


def test_an_unknown_key_is_an_error() -> None:
    assert json_error(body([PERSON | {"wage": 1}]), OF_TABLE) == (
        "row 0 has a feature 'wage' that the model does not know; leave it out, or say ?ignore_unknown=true"
    )
    assert json_error(body([PERSON, PERSON | dict.fromkeys("abcdefg", 1)]), OF_TABLE) == (
        "row 1 has features 'a', 'b', 'c', 'd', 'e' and 2 more that the model does not know; leave them out, or say "
        "?ignore_unknown=true"
    )


def test_a_lone_surrogate_in_a_key_can_be_reported() -> None:
    content = body([PERSON]).replace(b'"age"', b'"\\ud800": 1, "age"')
    with pytest.raises(InvalidInput) as caught:
        rows_from_json(content, OF_TABLE)
    assert caught.value.fault.feature == "\\ud800"
    assert str(caught.value).encode().startswith(b"row 0 has a feature '\\ud800' that the model does not know; ")


def test_a_duplicate_key_is_an_error() -> None:
    for content in (
        b'{"inputs": [{"f0": 1, "f0": 2}]}',
        b'{"inputs": [[1]], "inputs": [[2]]}',
    ):
        key = "f0" if b"f0" in content else "inputs"
        assert json_error(content, ONE, MalformedBody) == f"the key {key!r} is duplicated in one object; send it once"


# Errors


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the body is not JSON: expecting value at character 0"),
        (b"{", "the body is not JSON: expecting property name enclosed in double quotes at character 1"),
        (b'{"inputs": [[1,2,3,4]]', "the body is not JSON: expecting ',' delimiter at character 22"),
        (b'{"inputs": [[1,2,3,4]]} x', "the body is not JSON: extra data at character 24"),
        (b'{"inputs": [[01,2,3,4]]}', "the body is not JSON: expecting ',' delimiter at character 14"),
        (b'{"inputs": "\xff"}', "the body is not UTF-8: byte 12 is 0xff"),
        (b'{"inputs": ' + b"[" * 100_000, "the body is JSON nested too deeply; send a list of rows"),
        ('{"inputs": [[1,2,3,4]]}'.encode("utf-16"), "the body is UTF-16, expected JSON in UTF-8"),
        ('{"inputs": [[1,2,3,4]]}'.encode("utf-32-be"), "the body is UTF-32, expected JSON in UTF-8"),
        (b'{"inputs": "a\nb"}', "the body is not JSON: invalid control character at character 13"),
        (b'{"inputs": "ab', "the body is not JSON: unterminated string starting at character 11"),
        (b"\xef\xbb\xbf", "the body is not JSON: expecting value at character 0"),
        (
            b'{"inputs": [[1,2,3,4]], }',
            "the body is not JSON: expecting property name enclosed in double quotes at character 24",
        ),
        (b'{"inputs": [[1,2,3,4],]}', "the body is not JSON: expecting value at character 22"),
        (b'{"inputs" [[1,2,3,4]]}', "the body is not JSON: expecting ':' delimiter at character 10"),
    ],
)
def test_a_body_that_is_not_json_is_rejected(content: bytes, message: str) -> None:
    assert json_error(content, FLAT, MalformedBody) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "there are zero rows; send one or more"),
        (b"null", 'the body is null, expected an object {"inputs": [row, …]} or a list of rows'),
        (b"3", 'the body is a number, expected an object {"inputs": [row, …]} or a list of rows'),
        (b"{}", NO_ROWS),
        (b'{"inputs":[],"instances":[]}', "the body has both of the keys 'inputs' and 'instances'; send one of them"),
        (b'{"inputs": 3}', "'inputs' is a number, expected a list of rows"),
        (b'{"instances": "x"}', "'instances' is the string 'x', expected a list of rows"),
        (b'{"inputs": []}', "there are zero rows; send one or more"),
        (body([[1, 2, 3, 4]] * 21), "there are more than 20 rows, the most that are accepted; send several requests"),
        (b'{"inputs": [[' + b"9" * 5000 + b",2,3,4]]}", "row 0, feature 'f0' is infinite, expected a finite number"),
        (b'{"inputs": [[1,-' + b"9" * 5000 + b",3,4]]}", "row 0, feature 'f1' is infinite, expected a finite number"),
        (body([1, 2, 3, 4, 5]), "row 0 has more than 4 values, expected 4 values"),
        (b'{' + b",".join(b'"k%d":0' % key for key in range(105)) + b"}",
         "an object of the body has more than 104 keys; send the rows alone"),
        (body([[1, 2, 3, 4], 5]), "row 1 is a number, expected 4 values"),
        (body([[1, 2, 3, 4], None]), "row 1 is null, expected 4 values"),
        (body([[1, 2, 3]]), "row 0 has 3 values, expected 4 values"),
        (body([[1, 2, 3], [1, 2, 3, 4, 5]]), "row 0 has 3 values, expected 4 values"),
        (body([[1, 2, 3, 4], []]), "row 1 has 0 values, expected 4 values"),
        (body([[[1, 2, 3, 4]]]), "row 0 has 1 values where 4 belong; expected 4 values"),
        (body([[1, 2, 3, [4]]]), "row 0, feature 'f3' is a list, expected a number"),
        (
            body([[None, 2, 3, 4]]),
            "row 0, feature 'f0' is null, and the model allows no missing value here; send a number",
        ),
        (body([[1, 2, 3, "4"]]), "row 0, feature 'f3' is the string '4', expected a number"),
        (body([[1, 2, True, 4]]), "row 0, feature 'f2' is true, expected a number"),
        (body([[math.nan, 2, 3, 4]]), "row 0, feature 'f0' is NaN, expected a finite number"),
        (body([[1, -math.inf, 3, 4]]), "row 0, feature 'f1' is infinite, expected a finite number"),
        (b'{"inputs": [[1e400, 2, 3, 4]]}', "row 0, feature 'f0' is infinite, expected a finite number"),
        (body([[1, 2, 3, 1e39]]), "row 0, feature 'f3' is larger than float32 holds, expected at most 3.4e38"),
        (body([[1, 2, 3, 10**40]]), "row 0, feature 'f3' is larger than float32 holds, expected at most 3.4e38"),
    ],
)  # fmt: skip
def test_a_document_without_valid_rows_is_rejected(content: bytes, message: str) -> None:
    assert json_error(content, FLAT) == message


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[1, 2, 3], [4, 5]], "row 0 has 2 values where 3 belong; expected 6 values (or nested 2 x 3)"),
        ([[[1, 2, 3]]], "row 0 has 1 values where 2 belong; expected 6 values (or nested 2 x 3)"),
        ([[[1, 2], [3, 4], [5, 6]]], "row 0 has 3 values where 2 belong; expected 6 values (or nested 2 x 3)"),
        ([[[1, 2, 3], 4]], "row 0 has a number where 3 belong; expected 6 values (or nested 2 x 3)"),
        ([[1, 2, 3, 4, 5]], "row 0 has 5 values, expected 6 values (or nested 2 x 3)"),
    ],
)
def test_a_wrongly_nested_row_is_rejected(inputs: Any, message: str) -> None:
    assert json_error(body(inputs), NESTED) == message


# Large bodies, which are read in steps


@pytest.fixture
def tiny_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes count as a large body, a window and a piece."""
    for name in ("_WHOLE_BYTES", "_AT_ONCE_BYTES", "_PIECE_BYTES"):
        monkeypatch.setattr(json_rows, name, 20)
    monkeypatch.setattr(json_text, "WINDOW_BYTES", 30)


@pytest.mark.usefixtures("tiny_steps")
@given(documents(), layouts, st.sampled_from([None, 1]))
@settings(max_examples=400)
def test_a_large_document_is_decoded_as_by_the_oracle_or_rejected(
    document: tuple[Schema, Any], layout: str, indent: int | None
) -> None:
    schema, rows = document
    content = (layout % json.dumps(rows, indent=indent)).encode()
    assert read(content, schema) == oracle(content, schema)


@given(documents(), layouts, st.sampled_from([None, 1]))
@settings(max_examples=200)
def test_small_and_large_bodies_get_the_same_errors(
    document: tuple[Schema, Any], layout: str, indent: int | None
) -> None:
    schema, rows = document
    content = (layout % json.dumps(rows, indent=indent)).encode()
    results: list[Any] = []
    for limit in (10**6, 20):
        with pytest.MonkeyPatch.context() as patch:
            for name in ("_WHOLE_BYTES", "_AT_ONCE_BYTES", "_PIECE_BYTES"):
                patch.setattr(json_rows, name, limit)
            try:
                results.append(rows_from_json(content, schema).tolist())
            except RequestError as error:
                results.append(str(error))
    assert results[0] == results[1]


@pytest.mark.usefixtures("tiny_steps")
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.sampled_from([None, 1]))
def test_a_large_table_is_read_row_by_row(seed: int, count: int, indent: int | None) -> None:
    expected = values_of(TABLE, count, seed)
    content = json.dumps({"inputs": [as_json(TABLE, row) for row in expected]}, indent=indent).encode()
    np.testing.assert_array_equal(rows_from_json(content, OF_TABLE).astype(np.float32), expected)


@pytest.mark.parametrize("shape", [(7,), (2, 3)])
def test_many_rows_are_decoded_in_blocks_around_irregular_ones(shape: tuple[int, ...]) -> None:
    schema = numeric(*shape, max_rows=100_000, missing=True)
    expected = np.random.default_rng(0).normal(0, 1, (40_000, *shape)).round(3)
    expected[[100, 20_000, 39_999], ..., 0] = math.nan
    content = body(expected.tolist())
    assert len(content) > 5 * json_rows._PIECE_BYTES
    np.testing.assert_array_equal(rows_from_json(content, schema), expected.reshape(-1, schema.width))


def of_size(item: bytes, size: int = 1_000_000) -> bytes:
    return b",".join([item] * (size // (len(item) + 1)))


ATTACKS = {
    "keys, the last twice": (b'{"inputs":[[1,2,3,4]],%b,"a":1,"a":1}' % of_size(b'"k":1'), "is duplicated"),
    "keys": (b"{%b}" % b",".join(b'"k%06d":1' % number for number in range(100_000)), "more than 104 keys"),
    "keys of a row": (
        b'{"inputs":[{%b,"f0":1}]}' % b",".join(b'"k%05d":1' % number for number in range(9000)),
        "has no feature",
    ),
    "keys of a row, the last twice": (
        b'{"inputs":[{%b,"k1":1,"k1":1}]}' % b",".join(b'"k%05d":1' % number for number in range(9000)),
        "the key 'k1' is duplicated",
    ),
    "empty rows": (b'{"inputs":[%b]}' % of_size(b"[]"), "row 0 has 0 values"),
    "rows": (b'{"inputs":[%b]}' % of_size(b"[1,2,3,4]"), "there are more than 20 rows"),
    "one row": (b'{"inputs":[%b]}' % of_size(b"1"), "row 0 has more than 4 values"),
    "one row in a list": (b'{"inputs":[[%b]]}' % of_size(b"1"), "row 0 takes more than 131072 bytes"),
    "a text as a value": (b'{"inputs":[["%b",2,3,4]]}' % of_size(b"x"), "row 0 takes more than 131072 bytes"),
    "a number": (b'{"inputs":[[%b,2,3,4]]}' % (b"9" * 1_000_000), "row 0 takes more than 131072 bytes"),
    "a shorter number": (b'{"inputs":[[1.%b,NaN]]}' % (b"9" * 100_000), "row 0 has 2 values"),
    "NaN": (b'{"inputs":[%b]}' % of_size(b"NaN"), "row 0 has more than 4 values"),
    "a key": (b'{"%b":1}' % (b"k" * 1_000_000), "a key or value beside the rows takes more than 131072 bytes"),
    "a value": (b'{"k":[%b]}' % of_size(b"1"), NO_ROWS),
    "blanks": (b"{" + b" " * 1_000_000, "expecting property name"),
    "brackets": (b'{"inputs":' + b"[" * 1_000_000, "nested too deeply"),
    "objects": (b'{"inputs":[' + b'{"a":' * 200_000, "nested too deeply"),
    "a list": (b"[" * 1_000_000, "nested too deeply"),
    "no value": (b'{"inputs":[[1,2,3,4],x%b]}' % of_size(b"[1,2,3,4]"), "expecting value at character 21"),
    "no end": (b'{"inputs":[[1,2,3,4],"%b' % of_size(b"[1,2,3,4]"), "row 1 takes more than 131072 bytes"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_large_bodies_are_rejected_in_short_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    windows: list[int] = []
    refill = JsonText._refill

    def recording_refill(text: JsonText, size_bytes: int) -> None:
        windows.append(size_bytes)
        refill(text, size_bytes)

    monkeypatch.setattr(JsonText, "_refill", recording_refill)
    content, message = ATTACKS[name]
    assert message in json_error(content, FLAT, RequestError)
    assert max(windows) <= 256 * 1024
    assert sum(windows) < 1_300_000


def test_many_short_bad_rows_are_read_in_steps() -> None:
    schema = Schema((2,), tuple(Column(name, missing=False) for name in "ab"), 10_000)
    steps = json_rows.rows_in_steps(b"[" + b"[]," * 9000 + b"[1,2]]", RowReader(schema, faults=RowFaults()))
    assert sum(1 for _ in steps) > 9000 // 256


def test_wrong_guesses_of_row_ends_cost_no_more_than_slow_parsing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[int] = []
    regular = regular_json.array

    def recording_regular(text: bytes) -> Any:
        parsed.append(len(text))
        return regular(text)

    monkeypatch.setattr(regular_json, "array", recording_regular)
    schema = numeric(2, max_rows=10**6, missing=True)
    rows = [[1, None], [2, 3]] * 50_000
    content = body(rows)
    assert len(rows_from_json(content, schema)) == len(rows)
    assert sum(parsed) <= len(content)


@pytest.mark.parametrize("content", [b'{"id":1,"id":2,"inputs":[[1,2,3,4]]}', b'{"inputs":[[1,2,3,4]],"a":0,"a":0}'])
def test_a_duplicate_key_is_an_error_even_beside_valid_rows(content: bytes) -> None:
    assert "is duplicated in one object; send it once" in json_error(content, FLAT, MalformedBody)
    assert "is duplicated in one object; send it once" in json_error(content.ljust(300_000), FLAT, MalformedBody)


def test_a_byte_order_mark_is_skipped() -> None:
    for size in (0, 50_000, 300_000):
        content = b"\xef\xbb\xbf" + body([[1, 2, 3, 4]]).ljust(size)
        assert rows_from_json(content, FLAT).tolist() == [[1, 2, 3, 4]]
        assert rows_from_json(b"\xef\xbb\xbf" + body([PERSON]).ljust(size), OF_TABLE).shape == (1, 5)
