"""JSON files, with pandas' to_json as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.training.data.errors import message_of
from training.data.tables import reader

FRAME = pd.DataFrame({"n": [1.5, None, 3.0], "word": ["x", "y", "x"], "yes": [True, False, True], "i": [1, 2, 3]})
COLUMNS = {"n": [1.5, None, 3.0], "word": ["x", "y", "x"], "yes": [True, False, True], "i": [1, 2, 3]}


@pytest.mark.parametrize("orient", ["records", "split", "columns", "index", "table"])
def test_orients_of_pandas(tmp_path: Path, orient: Any) -> None:
    path = tmp_path / "t.json"
    FRAME.to_json(path, orient=orient)
    found = reader.read(path)
    assert {name: values for name, values in found.table.to_pydict().items() if name != "index"} == COLUMNS
    assert found.typed - {"index"} == {"n", "yes", "i"}


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.ndjson"])
def test_one_object_a_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FRAME.to_json(path, orient="records", lines=True)
    assert reader.read(path).table.to_pydict() == COLUMNS


@pytest.mark.parametrize(
    "content",
    [
        '{"a": [1, 2], "b": ["x", "y"]}',
        '{"rows": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}',
        '[["a", "b"], [1, "x"], [2, "y"]]',
        '[{"a": 1, "b": "x"}, {"b": "y", "a": 2}]',
    ],
)
def test_other_forms(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    assert reader.read(path).table.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_values_of_several_types_are_strings_as_in_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('[{"a": 1, "b": NaN}, {"a": "n/a", "b": 2}, {"a": 2.0, "b": 3}, {"b": 12345678901234567890123}]')
    found = reader.read(path)
    assert found.table.to_pydict() == {"a": ["1", "n/a", "2", ""], "b": [None, 2.0, 3.0, 12345678901234567890123.0]}
    assert found.typed == {"b"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("5", "holds no table that is known"),
        ("[1, 2]", "holds no table that is known"),
        ('{"a": [1], "b": [1, 2]}', "holds no table that is known"),
        ('[{"a": 1},', "is not JSON: "),
        ('{"a": 1}\n{"a":\n', "line 2 is not JSON: "),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_other_documents_are_refused(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    message = message_of(reader.read, path)
    assert fault in message
    assert message.endswith("expected an array of objects, one object a line, or what pandas' to_json writes")


def test_an_answer_of_an_api_has_its_rows_in_one_list(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"count": 2, "next": null, "errors": [], "results": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]}')
    found = reader.read(path)
    assert found.table.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert found.notes == ("the objects of 'results' are read as rows, not 'count', 'next', 'errors'",)
    path.write_text('{"a": [{"k": 1}, {"k": 2}], "b": [1, 2]}')
    assert reader.read(path).table["b"].to_pylist() == [1, 2]
