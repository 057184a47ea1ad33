"""?on_error=row: rows that fit the model are answered, the others get null and an error, in every encoding."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.http.codecs import json_answers, npy
from service.http.messages import Request
from service.inference.row_faults import _EXPLAINED, _HINTED
from service.lifecycle import State
from tests.service.http.codecs.tables import as_arrow
from tests.service.http.test_predict import InProcess
from tests.service.published import TABLE, publish

PERSON = {"age": 41, "height": 1.8, "member": True, "country": "Italy", "job": "nurse"}
ROWS = [PERSON, PERSON | {"height": None}, PERSON, PERSON | {"country": "Frnace"}]
ERRORS = [
    {
        "row": 1,
        "feature": "height",
        "detail": "row 1, feature 'height' is null, and the model allows no missing value here; send a number",
    },
    {
        "row": 3,
        "feature": "country",
        "detail": "row 3, feature 'country' is the string 'Frnace', a category the model does not know; did you mean "
        "'France'?",
    },
]
ARROW = b"application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small", features=TABLE)
    publish(folder, "price", features=TABLE, targets=("low", "high"))
    publish(folder, "plain")
    made = InProcess(folder)
    made.service.lifecycle.advance(State.READY)
    yield made
    made.close()


def ask(server: InProcess, body: bytes, query: str = "on_error=row", model: str = "small", **headers: bytes) -> Any:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    ((response, record),) = server.ask(Request(model, None, query, named, body))
    assert (response.status == 200) == (not record.problem)
    if b"json" not in dict(response.headers)[b"content-type"]:
        return response.status, response.body
    return response.status, json.loads(response.body)


def body(rows: object) -> bytes:
    return json.dumps({"inputs": rows}).encode()


def test_good_rows_are_answered_and_bad_ones_are_null(server: InProcess) -> None:
    status, alone = ask(server, body([PERSON]))
    assert (status, "errors" in alone) == (200, False)
    status, answer = ask(server, body(ROWS), "on_error=row&top_k=1")
    assert status == 200
    for name in ("predictions", "classes", "probabilities"):
        assert answer[name] == [alone[name][0], None, alone[name][0], None]
    assert answer["top_k"]["predictions"] == [[alone["predictions"][0]], None, [alone["predictions"][0]], None]
    assert answer["top_k"]["probabilities"][1::2] == [None, None]
    assert answer["errors"] == ERRORS
    status, answer = ask(server, body(ROWS), "on_error=row&probabilities=false")
    assert sorted(answer) == ["classes", "errors", "model", "predictions", "version"]


def test_the_same_in_steps(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ask(server, body(ROWS), "on_error=row&top_k=2")
    monkeypatch.setattr(json_answers, "_LARGE_VALUES", 1)
    monkeypatch.setattr(json_answers, "_STEP_VALUES", 1)
    assert ask(server, body(ROWS), "on_error=row&top_k=2") == expected


def test_a_regressor_gives_null_too(server: InProcess) -> None:
    _, alone = ask(server, body([PERSON]), model="price")
    status, answer = ask(server, body(ROWS), model="price")
    assert (status, answer["predictions"]) == (200, [alone["predictions"][0], None, alone["predictions"][0], None])


def test_by_default_one_bad_row_fails_the_request(server: InProcess) -> None:
    for query in ("", "on_error=request"):
        status, answer = ask(server, body(ROWS), query)
        assert (status, answer["errors"]) == (422, ERRORS[:1])


def test_a_request_without_a_good_row_fails_with_all_errors(server: InProcess) -> None:
    status, answer = ask(server, body([ROWS[1], 3, []]))
    assert status == 422
    assert [error["row"] for error in answer["errors"]] == [0, 1, 2]


def test_what_is_no_list_of_rows_fails_as_a_whole(server: InProcess) -> None:
    for broken, status in ((b"{", 400), (b'{"inputs": []}', 422), (b'{"inputs": 3}', 422), (b'{"x": 1}', 422)):
        assert ask(server, broken)[0] == status


def test_only_the_first_errors_are_explained(server: InProcess) -> None:
    rows = [PERSON] + [ROWS[3]] * (_EXPLAINED + 50)
    status, answer = ask(server, body(rows))
    assert status == 200
    errors = answer["errors"]
    assert [error["row"] for error in errors] == list(range(1, _EXPLAINED + 51))
    assert sum("a category the model does not know" in error["detail"] for error in errors) == _EXPLAINED
    # Each of them takes up to 20 ms to find.
    assert sum("did you mean" in error["detail"] for error in errors) == _HINTED
    assert len(json.dumps(errors[-1])) < 150


def test_rows_of_csv_and_arrow(server: InProcess) -> None:
    _, expected = ask(server, body(ROWS))
    lines = [
        "age,height,member,country,job",
        *(",".join("" if v is None else str(v) for v in r.values()) for r in ROWS),
    ]
    status, answer = ask(server, "\n".join(lines).encode(), content_type=b"text/csv")
    assert (status, answer["predictions"]) == (200, expected["predictions"])
    assert [error["row"] for error in answer["errors"]] == [1, 3]
    status, answer = ask(server, ("\n".join(lines[:2]) + "\n1,2\n").encode(), content_type=b"text/csv")
    assert (status, [error["row"] for error in answer["errors"]]) == (200, [1])
    arrow = as_arrow(pa.Table.from_pylist(ROWS))
    assert ask(server, arrow, content_type=ARROW) == (200, expected)
    status, content = ask(server, arrow, content_type=ARROW, accept=ARROW)
    table = pa.ipc.open_stream(content).read_all()
    assert table["prediction"].to_pylist() == expected["predictions"]
    assert table["error"].to_pylist() == [None, ERRORS[0]["detail"], None, ERRORS[1]["detail"]]


def test_rows_of_arrays(server: InProcess) -> None:
    rows = np.array([[1, 2, 3, 4], [1, np.nan, 3, 4], [5, 6, 7, 8], [np.inf, 0, 0, 0]], np.float32)
    _, expected = ask(server, body(rows[::2].tolist()), model="plain")
    for media, content in ((b"application/octet-stream", rows.tobytes()), (b"application/x-npy", npy.write(rows))):
        status, answer = ask(server, content, model="plain", content_type=media)
        assert status == 200
        assert answer["predictions"] == [expected["predictions"][0], None, expected["predictions"][1], None]
        assert [error["row"] for error in answer["errors"]] == [1, 3]
        status, array = ask(server, content, model="plain", content_type=media, accept=b"application/x-npy")
        assert np.isnan(np.load(io.BytesIO(array))).all(axis=1).tolist() == [False, True, False, True]


def test_many_bad_rows_of_an_array(server: InProcess) -> None:
    rows = np.full((3000, 4), np.nan, np.float32)
    rows[::7] = 1
    status, answer = ask(server, rows.tobytes(), model="plain", content_type=b"application/octet-stream")
    assert status == 200
    bad = [row for row in range(3000) if row % 7]
    assert [error["row"] for error in answer["errors"]] == bad
    assert [row for row, label in enumerate(answer["predictions"]) if label is None] == bad


def test_tables_by_column_and_unknown_columns(server: InProcess) -> None:
    _, expected = ask(server, body(ROWS))
    columns = {name: [row[name] for row in ROWS] for name in PERSON}
    status, answer = ask(server, json.dumps(columns | {"wage": 4 * [1]}).encode(), "on_error=row&ignore_unknown=true")
    assert (status, answer["predictions"]) == (200, expected["predictions"])
    assert [error["row"] for error in answer["errors"]] == [1, 3]
    status, answer = ask(server, json.dumps(columns | {"wage": 4 * [1]}).encode())
    assert (status, answer["errors"][0]["feature"]) == (422, "wage")
