"""Regular arrays of numbers in JSON, by the compiled reader and simdjson, with the standard library as the oracle."""

from __future__ import annotations

import json
import math
import threading
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.http.codecs import fast_json, regular_json
from service.http.codecs.json_rows import rows_from_json
from service.http.codecs.regular_json import KEYS, LIBRARY, SPLIT, Read, by_simdjson, compiled
from service.inference.columns import Column
from service.inference.schema import Schema

COMPILED = compiled(LIBRARY)  # which `make setup` compiles
READERS = pytest.mark.parametrize(
    "read", [pytest.param(COMPILED, id="compiled"), pytest.param(by_simdjson, id="simdjson")]
)

NUMBERS = [
    *(
        "0",
        "-0",
        "-0.0",
        "0.0",
        "0e0",
        "-0e5",
        "0.000",
        "1",
        "-1",
        "17.0",
        "255",
        "0.1",
        "-0.5e-3",
        "1E+2",
        "1e-22",
        "1e22",
    ),
    *("9007199254740992", "9007199254740993", "-9007199254740993", "9223372036854775807", "18446744073709551615"),
    *(
        "0.30000000000000004",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "5e-324",
        "1e-400",
        "123456789012345678",
    ),
    *("1234567.8901234567", "0.00000000000000000000001", "8.5070591730234616e37", "1e0000000000000000000000001"),
]
NOT_NUMBERS = [
    "",
    "-",
    "+1",
    "01",
    "-01",
    "00",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "0x1",
    "NaN",
    "-Infinity",
    "1_0",
    "1 2",
    "\u0661",
]
MORE = [*("true", "null", '"1"', "{}", "[]", "1e400", "18446744073709551616")]
GOOD = [
    *("[1]", " [ 1 , 2 ]\r\n\t", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4]]]", '{"inputs":[[1.5,2]]}', "[[[[[[[[1]]]]]]]]"),
    *(' {\n"instances" : [ [ 1 ] ,[ 2 ] ] } ', '{"dataframe_records":[1,2,3]}'),
]
BAD = [
    *(
        "",
        " ",
        "1",
        "{}",
        "[]",
        "[[]]",
        "[1",
        "[1,]",
        "[,1]",
        "[1,,2]",
        "[1]]",
        "[[1]",
        "[1] 2",
        "[1]\0",
        "\0[1]",
        "[1\0]",
    ),
    *(
        "[[1],[2,3]]",
        "[[1,2],[3]]",
        "[[1],2]",
        "[1,[2]]",
        "[[1],[[2]]]",
        "[[[1],[2]],[[3]]]",
        "[[1][2]]",
        "[[1] [2]]",
        "[1\v]",
    ),
    *(
        '{"inputs":[1]',
        '{"inputs" [1]}',
        '{"inputs":[1],}',
        '{"inputs":1}',
        '{"rows":[1]}',
        "{inputs:[1]}",
        '{"inputs:[1]}',
    ),
    *('{"inputs":[1],"instances":[1]}', '{"inputs":[1],"inputs":[1]}', f'{{"inputs":[1],"{SPLIT}":1}}'),
    *('[{"inputs":[1]}]', '{"inputs":{"a":[1]}}', "[1}", '{"inputs":[1]]', "[[1],[2]}"),
]


def parsed(text: str) -> Any:
    document = json.loads(text)
    return document[next(key for key in KEYS if key in document)] if isinstance(document, dict) else document


def bits(values: Any) -> list[int]:
    found: list[int] = np.asarray(values, np.float64).reshape(-1).view(np.uint64).tolist()
    return found


@READERS
@pytest.mark.parametrize("text", GOOD)
def test_a_regular_array_is_read_with_its_shape(read: Read, text: str) -> None:
    found, expected = read(text.encode()), np.array(parsed(text), np.float64)
    assert found is not None
    assert (found.shape, bits(found)) == (expected.shape, bits(expected))


@READERS
@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_left_to_others(read: Read, text: str) -> None:
    assert read(text.encode()) is None


@READERS
@pytest.mark.parametrize(("number", "around"), [*product(NUMBERS, ["[%s]", '{"inputs":[[7,%s],[ %s , 7]]}'])])
def test_a_number_has_the_bits_that_python_gives_it(read: Read, number: str, around: str) -> None:
    text = around.replace("%s", number)
    found, expected = read(text.encode()), parsed(text)
    assert found is None or bits(found) == bits(expected)


@READERS
@pytest.mark.parametrize(("value", "around"), [*product([*NOT_NUMBERS, *MORE], ["[%s]", "[7,%s]", "[[7,%s],[7,7]]"])])
def test_a_value_that_is_no_number_is_left_to_others(read: Read, value: str, around: str) -> None:
    assert read(around.replace("%s", value).encode()) is None


@pytest.mark.parametrize("decimal", ["0", "-0", "255", "17.0", "-3.25", "0.0001", "1e5", "2.5E-7", "123456789.012345"])
def test_the_compiled_reader_reads_what_most_clients_send(decimal: str) -> None:
    found = COMPILED(f"[[{decimal},{decimal}]]".encode())
    assert found is not None
    assert bits(found) == bits([float(decimal) + 0.0 if decimal == "-0" else float(decimal)] * 2)


numbers = st.one_of(
    st.sampled_from(NUMBERS),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@st.composite
def regular_texts(draw: st.DrawFn) -> str:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    count = math.prod(shape)
    level = draw(st.lists(numbers, min_size=count, max_size=count))
    comma = draw(st.sampled_from([",", " ,", ",\n", "\t, "]))
    for length in reversed(shape):
        level = [f"[{comma.join(level[at : at + length])}]" for at in range(0, len(level), length)]
    return draw(st.sampled_from(["%s", " %s\r\n", '{"inputs":%s}', ' { "instances" : %s } '])).replace("%s", level[0])


@given(regular_texts())
def test_both_give_the_bits_of_the_standard_library(text: str) -> None:
    expected = np.array([[float(each) for each in flat(parsed(text))]])
    for read in (COMPILED, by_simdjson, regular_json.array):
        found = read(text.encode())
        assert found is None or bits(found) == bits(expected)


@given(regular_texts(), st.data())
def test_what_the_compiled_reader_takes_is_json_and_regular(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    much = data.draw(st.integers(0, 2))
    spoiled = text[:at] + data.draw(st.text('0123456789-+.eE[]{},:" \n\0tinpus', max_size=2)) + text[at + much :]
    found = COMPILED(spoiled.encode())
    if found is not None:
        expected = np.array(parsed(spoiled), np.float64)
        assert (found.shape, bits(found)) == (expected.shape, bits(expected))


def flat(values: Any) -> list[Any]:
    return [each for value in values for each in flat(value)] if isinstance(values, list) else [values]


@pytest.mark.parametrize("text", ['{"inputs":[[1.5,-2e1],[3,4]]}', " [ 1 , 2 ] "])
def test_a_text_that_ends_too_soon_is_left_to_others(text: str) -> None:
    content = text.strip().encode()
    for end in range(len(content)):
        assert COMPILED(content[:end]) is None
        assert COMPILED(content[:end] + b"\0" * (len(content) - end)) is None


def test_more_numbers_than_there_is_room_for_are_left_to_others() -> None:
    most = 128 * 1024
    for count in (most, most + 1):
        found = COMPILED(b"[%b]" % b",".join([b"1"] * count))
        assert (found is None) == (count > most)
        assert found is None or found.tolist() == [1.0] * count


def test_an_array_is_not_changed_by_later_ones_nor_by_other_threads() -> None:
    first = COMPILED(b"[1,2,3]")
    wrong = []

    def read(number: int) -> None:
        text = b"[%b]" % b",".join([b"%d" % number] * 1000)
        wrong.extend(found for _ in range(2000) if (found := COMPILED(text)) is None or (found != number).any())

    threads = [threading.Thread(target=read, args=(number,)) for number in (5, 6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
    assert first is not None
    assert first.tolist() == [1, 2, 3]


def test_without_a_library_that_loads_simdjson_reads_all(tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    with pytest.raises(OSError, match=r"library\.so"):
        compiled(library)
    library.write_bytes(b"of another machine")
    assert regular_json.fastest(library) is by_simdjson
    assert regular_json.READ_BY == "compiled code"
    assert regular_json.array(b'{"a":0,"inputs":[[1]]}') is not None  # which the compiled reader leaves to simdjson


def test_without_simdjson_either_other_parsers_read_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (regular_json, fast_json):
        monkeypatch.setattr(module, "simdjson", None)
    monkeypatch.setattr(regular_json, "array", by_simdjson)
    schema = Schema((2,), (Column("a", missing=False), Column("b", missing=False)), max_rows=100_000)
    for rows in ([[1.5, -2.0]], [[0.1, 2.0]] * 50_000):
        assert by_simdjson(json.dumps(rows).encode()) is None
        assert rows_from_json(json.dumps({"inputs": rows}).encode(), schema).tolist() == rows
    with pytest.raises(MalformedBody, match="duplicated"):
        rows_from_json(b'{"inputs":[{"a":1,"a":2,"b":3}]}', schema)
