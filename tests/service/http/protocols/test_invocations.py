"""/ping and /invocations, as SageMaker and MLflow's scoring server have them: the same numbers as /predict."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from service.lifecycle import State
from tests.service.http.protocols.application import Application
from tests.service.image_models import publish_images
from tests.service.published import TABLE, as_json, publish, values_of

ROWS = [as_json(TABLE, row) for row in values_of(TABLE, 5, 1)]
FRAME = pd.DataFrame(ROWS)
SPLIT = json.loads(FRAME.to_json(orient="split"))
CSV = {"content_type": "text/csv"}


def served(tmp_path_factory: pytest.TempPathFactory, **model: Any) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("models")
    if model:
        publish(folder, **model)
    else:
        publish_images(folder, "pictures", (28, 28))
    application = Application(folder)
    yield application
    application.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    yield from served(tmp_path_factory, features=TABLE)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    yield from served(tmp_path_factory, shape=(4,))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    yield from served(tmp_path_factory)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": {"columns": SPLIT["columns"], "data": SPLIT["data"]}, "params": {"threshold": 0.5}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"inputs": ROWS},
        {"inputs": {name: [row[name] for row in ROWS] for name in ROWS[0]}},
        ROWS,
    ],
    ids=["split", "split without an index", "records", "instances", "inputs", "columns", "bare"],
)
def test_json_is_answered_as_by_predict(table: Application, body: object) -> None:
    expected = table.post("/predict", {"inputs": ROWS}).json()
    answer = table.post("/invocations", body)
    assert answer.status_code == 200
    assert answer.json() == expected
    assert len(expected["predictions"]) == len(expected["probabilities"]) == 5


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_csv_may_have_a_header(table: Application, header: bool, separator: str, coding: str) -> None:
    body = FRAME.to_csv(index=False, header=header, sep=separator).encode()
    expected = table.post("/predict", {"inputs": ROWS}).json()
    if coding:
        answer = table.post("/invocations", gzip.compress(body), content_encoding=coding, **CSV)
    else:
        answer = table.post("/invocations", body, **CSV)
    assert answer.json() == expected


def test_columns_of_csv_with_a_header_may_be_in_any_order_and_absent(table: Application) -> None:
    frame = FRAME[["job", "height", "member"]]
    expected = table.post("/predict", {"inputs": json.loads(frame.to_json(orient="records"))}).json()
    assert table.post("/invocations", frame.to_csv(index=False).encode(), **CSV).json() == expected


@pytest.mark.parametrize(
    ("body", "content_type", "detail"),
    [
        (b"", "text/csv", "the body is empty, expected a line of column names and one or more rows"),
        (b"age,height\n1,2\n", "text/csv", "the table has no feature 'job'"),
        (b",height,job\n0,1.8,cook\n", "text/csv", "column 1 of the header has no name"),
        (b"height,job,job\n1.8,cook,cook\n", "text/csv", "there are several columns 'job'"),
        (b"alter,groesse\n40,1.8\n", "text/csv", "row 0 has 2 values, expected 5 the model's features"),
        (b"40,1.8,true,Italy,cook\n", "text/csv; header=present", "'40'"),
        (b"age,height,member,country,job\n", "text/csv; header=absent", "row 0"),
    ],
)
def test_bad_csv_is_rejected(table: Application, body: bytes, content_type: str, detail: str) -> None:
    answer = table.post("/invocations", body, content_type=content_type)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert detail in answer.json()["detail"]


def test_the_header_of_csv_is_detected_only_here(table: Application) -> None:
    body = FRAME.to_csv(index=False, header=False).encode()
    assert table.post("/predict", body, **CSV).status_code == 422


def test_arrays_and_arrow_are_answered_as_by_predict(numbers: Application) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rows = np.random.default_rng(0).normal(0, 1, (3, 4)).astype(np.float32)
    expected = numbers.post("/predict", {"inputs": rows.tolist()}).json()
    file, stream = io.BytesIO(), io.BytesIO()
    np.save(file, rows)
    columns = pyarrow.table({f"f{index}": rows[:, index] for index in range(4)})
    with pyarrow.ipc.new_stream(stream, columns.schema) as writer:
        writer.write_table(columns)
    text = "\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode()
    for body, content_type in (
        (file.getvalue(), "application/x-npy"),
        (rows.tobytes(), "application/octet-stream"),
        (stream.getvalue(), "application/vnd.apache.arrow.stream"),
        (text, "text/csv"),
    ):
        assert numbers.post("/invocations", body, content_type=content_type).json() == expected
    array = numbers.post("/invocations", file.getvalue(), content_type="application/x-npy", accept="application/x-npy")
    assert np.array_equal(np.load(io.BytesIO(array.content)), np.array(expected["probabilities"], np.float32))


def test_a_line_of_pixels_is_a_row(pictures: Application) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 28, 28), np.uint8)
    expected = pictures.post("/predict", {"inputs": pixels.tolist()}).json()
    text = "\n".join(",".join(map(str, row)) for row in pixels.reshape(2, -1).tolist()).encode()
    assert pictures.post("/invocations", text, **CSV).json() == expected
    file = io.BytesIO()
    Image.fromarray(pixels[0]).save(file, "PNG")
    one = pictures.post("/invocations", file.getvalue(), content_type="image/png").json()
    assert one["predictions"] == expected["predictions"][:1]


def test_both_paths_answer_alike(table: Application) -> None:
    for body, headers in (
        (json.dumps({"dataframe_split": SPLIT}).encode(), ["content-type: application/json"]),
        (FRAME.to_csv(index=False, header=False).encode(), ["content-type: text/csv"]),
        (b"{", ["content-type: application/json"]),
        (b"x", ["content-type: application/jsonlines"]),
    ):
        fast, slow = table.on_both_paths("/invocations", body, *headers)
        assert fast == slow


def test_several_models_need_a_default(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("several")
    publish(folder, "one")
    publish(folder, "two")
    application = Application(folder)
    assert application.post("/invocations", {"inputs": [[1, 2, 3, 4]]}).status_code == 404
    application.close()
    application = Application(folder, model="two")
    assert application.post("/invocations", {"inputs": [[1, 2, 3, 4]]}).json()["model"] == "two"
    application.close()


def test_ping_says_whether_requests_are_taken(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    application = Application(folder)
    for path in ("/ping", "/health"):
        answer = application.ask("GET", path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    application.service.lifecycle.advance(State.DRAINING)
    for path in ("/ping", "/health"):
        answer = application.ask("GET", path)
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
    application.close()


def test_the_version_is_that_of_the_server(table: Application) -> None:
    answer = table.ask("GET", "/version")
    assert (answer.text, answer.headers["content-type"]) == (version("mlp-serving"), "text/plain")


def test_the_document_describes_the_paths(table: Application) -> None:
    document = table.ask("GET", "/openapi.json").json()
    operation = document["paths"]["/invocations"]["post"]
    described = operation["requestBody"]["content"]["text/csv"]["schema"]["description"]
    assert "more than half" in described
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    answer = table.post("/invocations", {"dataframe_split": SPLIT}).json()
    jsonschema.validate(answer, schema | {"components": document["components"]})
    assert set(document["paths"]["/ping"]["get"]["responses"]) == {"200", "503"}
