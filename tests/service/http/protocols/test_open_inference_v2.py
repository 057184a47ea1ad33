"""The Open Inference Protocol V2: the same rows give the same numbers as in our own protocol, bit for bit."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.tensors import DTYPES
from tests.service.http.protocols.application import Application
from tests.service.published import TABLE, as_json, publish, rewrite, values_of

LENGTH = "Inference-Header-Content-Length"
SMALL = "/v2/models/small/infer"
PEOPLE = "/v2/models/table/infer"
BINARY = {"parameters": {"binary_data_output": True}}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small", shape=(2, 3))
    publish(folder, "flags", labels=(True, False), seed=5)
    publish(folder, "table", features=TABLE)
    publish(folder, "price", features=TABLE, targets=("price",))
    publish(folder, "position", targets=("x", "y"))
    publish(folder, "exact", targets=("t",))
    rewrite(folder / "exact" / "1", lambda manifest: manifest.update(input_dtype="float32"))
    application = Application(folder, model="small", max_request_rows=20_000)
    yield application
    application.close()


def tensor(name: str, datatype: str, shape: Any, data: Any = None, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
    if data is not None:
        found["data"] = data
    return found | ({"parameters": parameters} if parameters else {})


def binary(request: dict[str, Any], *data: bytes) -> tuple[bytes, dict[str, str]]:
    """A body with binary tensors, and its header."""
    text = orjson.dumps(request)
    return b"".join([text, *data]), {LENGTH: str(len(text))}


def strings(values: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(each.encode())) + each.encode() for each in values)


@dataclass
class Answer:
    document: dict[str, Any]
    outputs: dict[str, Any]


def answer(response: httpx.Response) -> Answer:
    """The outputs of a response as arrays of their shape, read as a client does."""
    assert response.status_code == 200, response.text
    length = response.headers.get(LENGTH)
    at = len(response.content) if length is None else int(length)
    document = json.loads(response.content[:at])
    assert response.headers["content-type"] == ("application/json" if length is None else "application/octet-stream")
    outputs = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values: Any = output["data"]
        else:
            assert "data" not in output
            piece = response.content[at : at + size]
            at += size
            values = (
                texts_in(piece) if output["datatype"] == "BYTES" else np.frombuffer(piece, DTYPES[output["datatype"]])
            )
        dtype = object if output["datatype"] == "BYTES" else DTYPES[output["datatype"]]
        outputs[output["name"]] = np.array(values, dtype).reshape(output["shape"])
    assert at == len(response.content)
    return Answer(document, outputs)


def texts_in(data: bytes) -> list[str]:
    found = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return found


def own(app: Application, model: str, rows: Any) -> dict[str, Any]:
    response = app.post(f"/models/{model}/predict", {"inputs": rows})
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


def assert_same(found: Answer, expected: dict[str, Any]) -> None:
    if "classes" in expected:
        assert np.array_equal(found.outputs["probabilities"], np.array(expected["probabilities"], np.float32))
        assert found.outputs["prediction"].tolist() == expected["classes"]
        assert found.outputs["label"].tolist() == [
            str(each).lower() if isinstance(each, bool) else str(each) for each in expected["predictions"]
        ]
    else:
        predictions = np.array(expected["predictions"], np.float32)
        assert np.array_equal(found.outputs["prediction"], predictions.reshape(len(predictions), -1))


def error(response: httpx.Response, status: int = 400) -> str:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    document = response.json()
    assert list(document) == ["error"]
    return document["error"]  # type: ignore[no-any-return]


floats = st.floats(-1e6, 1e6, width=32)


@given(
    rows=st.lists(st.lists(floats, min_size=6, max_size=6), min_size=1, max_size=5),
    datatype=st.sampled_from([name for name in DTYPES if name != "BOOL"]),
    nested=st.booleans(),
    shaped=st.booleans(),
    in_json=st.booleans(),
    coding=st.sampled_from(["", "gzip", "deflate"]),
    binary_output=st.booleans(),
)
def test_one_tensor_of_all_columns(
    app: Application,
    rows: list[list[float]],
    datatype: str,
    nested: bool,
    shaped: bool,
    in_json: bool,
    coding: str,
    binary_output: bool,
) -> None:
    dtype = DTYPES[datatype]
    bounds = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    array = np.clip(np.array(rows), float(bounds.min), float(bounds.max) * (1 - 2**-40)).astype(dtype)
    shape = (len(rows), 2, 3) if shaped else (len(rows), 6)
    data = array.reshape(shape if nested else -1)
    request: dict[str, Any] = {"parameters": {"binary_data_output": binary_output}}
    if in_json:
        body, headers = orjson.dumps(request | {"inputs": [tensor("x", datatype, shape, data.tolist())]}), {}
    else:
        inputs = [tensor("inputs", datatype, shape, binary_data_size=data.nbytes)]
        body, headers = binary(request | {"inputs": inputs}, data.tobytes())
    if coding:
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        headers["content-encoding"] = coding
    assert_same(answer(app.ask("POST", SMALL, body, headers)), own(app, "small", array.astype(float).tolist()))


@given(seed=st.integers(0, 10_000), count=st.integers(1, 8), in_json=st.booleans(), flat=st.booleans())
@pytest.mark.parametrize("model", ["table", "price"])
def test_one_tensor_per_column(app: Application, model: str, seed: int, count: int, in_json: bool, flat: bool) -> None:
    values = values_of(TABLE, count, seed)
    rows = [as_json(TABLE, row) for row in values]
    inputs, data = [], []
    for index, feature in enumerate(TABLE):
        column = [row[feature.name] for row in rows]
        shape = (count,) if flat else (count, 1)
        datatype = {"numeric": "FP32", "boolean": "BOOL", "categorical": "BYTES"}[feature.kind]
        if in_json:
            inputs.append(tensor(feature.name, datatype, shape, column if flat else [[each] for each in column]))
            continue
        if feature.kind == "categorical":
            data.append(strings(["" if each is None else each for each in column]))
        else:
            datatype = "FP32"  # BOOL cannot say that a value is missing
            data.append(values[:, index].astype("<f4").tobytes())
        inputs.append(tensor(feature.name, datatype, shape, binary_data_size=len(data[-1])))
    # An empty string is a missing one if the model was trained with rules for cells, which this one was not.
    if not in_json and any(row["country"] is None for row in rows):
        body, headers = binary({"inputs": inputs}, *data)
        assert "'' , a category" in error(app.ask("POST", f"/v2/models/{model}/infer", body, headers)).replace(
            "''", "'' "
        )
        return
    body, headers = (orjson.dumps({"inputs": inputs[::-1]}), {}) if in_json else binary({"inputs": inputs}, *data)
    assert_same(answer(app.ask("POST", f"/v2/models/{model}/infer", body, headers)), own(app, model, rows))


def test_codes_stand_for_categories_in_arrays_and_missing_columns_may_be_left_out(app: Application) -> None:
    row = {"age": 41.0, "height": 1.8, "member": True, "country": "Italy", "job": "nurse"}
    codes = [41.0, 1.8, 1, 2, 1]
    whole = answer(app.post(PEOPLE, {"inputs": [tensor("inputs", "FP64", (1, 5), codes)]}))
    assert_same(whole, own(app, "table", [row]))
    given = [tensor("height", "FP32", (1,), [1.8]), tensor("job", "BYTES", (1,), ["nurse"])]
    missing = row | dict.fromkeys(("age", "member", "country"))
    assert_same(answer(app.post(PEOPLE, {"inputs": given})), own(app, "table", [missing]))
    null = answer(app.post(PEOPLE, {"inputs": [tensor("inputs", "FP64", (1, 5), [None, 1.8, None, None, 1])]}))
    assert_same(null, own(app, "table", [missing]))


def test_large_bodies_are_the_same(app: Application) -> None:
    rows = np.random.default_rng(0).normal(0, 1, (12_000, 6)).round(4)
    expected = own(app, "small", rows.tolist())
    for shape in ((12_000, 6), (12_000, 2, 3)):
        for nested in (True, False):
            data = rows.reshape(shape if nested else -1).tolist()
            for text in (
                orjson.dumps({"inputs": [tensor("x", "FP32", shape, data)]}),
                json.dumps({"inputs": [tensor("x", "FP32", shape, data)], "id": "data"}, indent=1).encode(),
            ):
                assert len(text) > 500_000
                assert_same(answer(app.post(SMALL, text)), expected)
    body, headers = binary({"inputs": [tensor("x", "FP64", rows.shape, binary_data_size=rows.nbytes)]}, rows.tobytes())
    assert_same(answer(app.ask("POST", SMALL, body, headers)), expected)
    found = answer(app.post(SMALL, {"inputs": [tensor("x", "FP64", rows.shape, rows.ravel().tolist())], **BINARY}))
    assert_same(found, expected)


def test_large_bodies_of_strings_are_the_same(app: Application) -> None:
    values = values_of(TABLE, 10_000, 3)
    rows = [as_json(TABLE, row) for row in values]
    inputs = [
        tensor(
            feature.name,
            {"numeric": "FP32", "boolean": "BOOL", "categorical": "BYTES"}[feature.kind],
            (len(rows), 1),
            [[row[feature.name]] for row in rows],
        )
        for feature in TABLE
    ]
    assert_same(answer(app.post(PEOPLE, {"inputs": inputs})), own(app, "table", rows))


def test_a_body_without_json_is_one_row_and_all_outputs_are_binary(app: Application) -> None:
    row = np.arange(6, dtype="<f4")
    response = app.ask("POST", SMALL, row.tobytes(), {LENGTH: "0"})
    assert_same(answer(response), own(app, "small", [row.tolist()]))
    assert all("binary_data_size" in each["parameters"] for each in answer(response).document["outputs"])
    assert error(app.ask("POST", SMALL, row.tobytes() * 2, {LENGTH: "0"})) == (
        "the body has 48 bytes, expected one row: 24 of float32"
    )


def test_outputs_are_chosen_one_by_one(app: Application) -> None:
    inputs = [tensor("x", "FP32", (2, 6), [*range(12)])]
    outputs = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "prediction"}]
    found = answer(app.post(SMALL, {"inputs": inputs, "outputs": outputs}))
    assert list(found.outputs) == ["label", "prediction"]
    assert found.document["outputs"][0]["parameters"] == {"binary_data_size": 14}
    ranked = [{"name": "probabilities", "parameters": {"classification": 2, "binary_data": False}}]
    best = answer(app.post(SMALL, {"inputs": inputs, "outputs": ranked, **BINARY})).outputs["probabilities"]
    expected = own(app, "small", np.arange(12.0).reshape(2, 6).tolist())
    for row, probabilities, label in zip(best, expected["probabilities"], expected["predictions"], strict=True):
        values = [each.split(":") for each in row]
        assert values[0] == [f"{max(probabilities):.6f}", str(np.argmax(probabilities)), label]
        assert len(values) == 2
    every = [{"name": "probabilities", "parameters": {"classification": 99}}]
    assert answer(app.post(SMALL, {"inputs": inputs, "outputs": every})).outputs["probabilities"].shape == (2, 3)


@pytest.mark.parametrize("sent", ['"a"', '"data"', '"a\\"b"', '"\\ud800"', '"\\u2603"', '"☃"', '""', f'"{"x" * 5000}"'])
@pytest.mark.parametrize("form", ['{"id":%s,"inputs":%s}', '{ "inputs" : %s, "id" : %s }', '{"id": %s, "inputs":%s}'])
def test_the_id_is_returned(app: Application, sent: str, form: str) -> None:
    inputs = json.dumps([tensor("x", "FP32", (1, 6), [*range(6)])])
    parts = (inputs, sent) if form.startswith("{ ") else (sent, inputs)
    for _ in range(2):
        found = answer(app.post(SMALL, (form % parts).encode()))
        assert found.document["id"] == json.loads(sent)
    assert "id" not in answer(app.post(SMALL, b'{"inputs":%b}' % inputs.encode())).document


def test_keys_may_come_in_any_order_and_unknown_ones_are_ignored(app: Application) -> None:
    text = (
        b'\xef\xbb\xbf {"model_name":"x","inputs" :[{"data"\n:\t[ 0 ,1,2,3,4, 5 ],"extra":{"a":"]"},"shape":[1,6],'
        b'"datatype":"FP32","name":"x"}],"parameters":{"priority":1},"outputs":[]}'
    )
    assert_same(answer(app.post(SMALL, text)), own(app, "small", [[*range(6)]]))


def test_a_version_and_an_encoded_name_are_found(app: Application) -> None:
    body = {"inputs": [tensor("x", "FP32", (1, 6), [*range(6)])]}
    expected = own(app, "small", [[*range(6)]])
    for path in ("/v2/models/small/versions/1/infer", "/v2/models/sm%61ll/infer"):
        assert_same(answer(app.post(path, body)), expected)
    assert "has no version '7'" in error(app.post("/v2/models/small/versions/7/infer", body), 404)
    assert "no model 'other'" in error(app.post("/v2/models/other/infer", body), 404)


def test_labels_are_strings_whatever_their_type(app: Application) -> None:
    found = answer(app.post("/v2/models/flags/infer", {"inputs": [tensor("x", "FP32", (1, 4), [1, 2, 3, 4])]}))
    assert_same(found, own(app, "flags", [[1, 2, 3, 4]]))
    assert found.outputs["label"].tolist()[0] in ("true", "false")


GOOD = tensor("x", "FP32", (1, 6), [*range(6)])
SIX = b"\0" * 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [-1, 6]}, "the shape of input 'x' is [-1, 6], expected a list of sizes"),
        ({"shape": [0, 6]}, "there are zero rows"),
        ({"shape": [0, 6], "data": []}, "there are zero rows"),
        ({"shape": []}, "input 'x' has shape [], expected one input of shape [rows, 6] or [rows, 2, 3]"),
        ({"shape": [6]}, "input 'x' has shape [6], expected one input"),
        ({"shape": [1, 5]}, "input 'x' has shape [1, 5], expected one input"),
        ({"shape": [1, 3, 2]}, "input 'x' has shape [1, 3, 2], expected one input"),
        ({"shape": [2, 6]}, "'data' has fewer, expected 12 values, as its shape is [2, 6]"),
        ({"shape": [2**40, 6]}, "there are 1099511627776 rows, expected at most 20000"),
        ({"shape": [10**30, 6]}, "expected a list of sizes"),
        ({"shape": [1] * 40}, "has shape [1, 1"),
        ({"shape": [1.5, 6]}, "expected a list of sizes"),
        ({"shape": [True, 6]}, "expected a list of sizes"),
        ({"shape": "1,6"}, "expected a list of sizes"),
        ({"shape": None}, "the shape of input 'x' is missing"),
        ({"datatype": "BF16"}, "input 'x' has datatype 'BF16', expected one of BOOL, UINT8"),
        ({"datatype": "fp32"}, "has datatype 'fp32'"),
        ({"datatype": None}, "input 0 has no 'datatype', expected a string"),
        ({"datatype": 4}, "input 0 has a number for 'datatype'"),
        ({"name": None}, "input 0 has no 'name'"),
        ({"data": None}, "input 'x' has neither 'data' nor 'binary_data_size'"),
        ({"data": "012345"}, "input 'x' has the string '012345' for 'data', expected a list"),
        ({"data": {"a": 1}}, "input 'x' has an object for 'data'"),
        ({"data": [0, 1, 2, 3, 4]}, "'data' has fewer, expected 6 values"),
        ({"data": [*range(7)]}, "'data' has more, expected 6 values"),
        ({"data": [[0, 1, 2], [3, 4, 5]]}, "'data' has a list of 3 where a list of 6 belongs"),
        ({"data": [0, 1, 2, 3, 4, [5]]}, "input 'x', value 5 is a list, which is no FP32"),
        ({"data": [[0, 1, 2, 3, 4, [5]]]}, "input 'x', value 5 is a list, which is no FP32"),
        ({"data": [[[0, 1, 2], [3, 4]], 5]}, "'data' has a list of 2 where a list of 6 belongs"),
        ({"data": ["0", 1, 2, 3, 4, 5]}, "input 'x', value 0 is the string '0', which is no FP32"),
        ({"data": [True, 1, 2, 3, 4, 5]}, "input 'x', value 0 is true, which is no FP32"),
        ({"data": [None, 1, 2, 3, 4, 5]}, "row 0, feature 'f0' is NaN, expected a finite number"),
        ({"data": [1e39, 1, 2, 3, 4, 5]}, "row 0, feature 'f0' is larger than float32 holds"),
        ({"datatype": "INT64", "data": [1.5, 1, 2, 3, 4, 5]}, "input 'x', value 0 is 1.5, which is no INT64"),
        ({"datatype": "UINT8", "data": [0, 1, 2, 3, 4, 256]}, "input 'x', value 5 is 256, which is no UINT8"),
        ({"datatype": "INT8", "data": [0, 1, 2, 3, 4, 2**64]}, "input 'x', value 5 is 1.84467e+19, which is no INT8"),
        ({"datatype": "UINT8", "data": [0, 1, 2, 3, 4, -1]}, "value 5 is -1, which is no UINT8"),
        ({"datatype": "FP16", "data": [0, 1, 2, 3, 4, 1e5]}, "which is no FP16"),
        ({"datatype": "BOOL", "data": [0, 1, 2, 3, 4, 5]}, "input 'x', value 2 is 2, which is no BOOL"),
        ({"datatype": "BYTES", "data": [*"012345"]}, "row 0, feature 'f0' is the string '0', expected a number"),
        ({"parameters": {"binary_data_size": 24}}, "input 'x' has both 'data' and 'binary_data_size'"),
        ({"parameters": {"shared_memory_region": "a"}}, "input 'x' is in shared memory"),
        ({"parameters": 5}, "input 'x' has a number for 'parameters'"),
    ],
)
def test_a_bad_input_is_an_error_that_says_why(app: Application, change: dict[str, Any], message: str) -> None:
    given = {key: value for key, value in (GOOD | change).items() if value is not None}
    assert message in error(app.post(SMALL, {"inputs": [given]}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[NaN,1,2,3,4,5]", "row 0, feature 'f0' is NaN"),
        (b"[Infinity,1,2,3,4,5]", "is infinite"),
        (b"[-1e999,1,2,3,4,5]", "is infinite"),
        (b"[%d,1,2,3,4,5]" % 10**400, "is infinite"),
        (b"[%b,1,2,3,4,5]" % (b"9" * 5000), "is infinite"),
        (b"[0,1,2,3,4,5,]", "not JSON"),
        (b"[0,1,2,3,4 5]", "not JSON"),
        (b"[0,1,2,3,4[,5]]", "not JSON"),
        (b"[0,1,2,3,4,5", "not JSON"),
        (b"[0,1,2,3,4,5}", "not JSON"),
        (b"[0,1,2,3,4,\xff]", "not UTF-8"),
        (b'["\xff",1,2,3,4,5]', "not UTF-8"),
        (b"[" * 100_000, "does not end"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'["', "does not end"),
        (b"[01,1,2,3,4,5]", "not JSON"),
        (b"[,0,1,2,3,4,5]", "not JSON"),
    ],
)
def test_data_that_are_no_json_are_an_error(app: Application, data: bytes, message: str) -> None:
    body = b'{"inputs":[{"name":"x","shape":[1,6],"datatype":"FP32","data":%b}]}' % data
    assert message in error(app.post(SMALL, body))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b"null", "the body is null, expected an object"),
        (b"[]", "the body is a list, expected an object"),
        (b"{}", "'inputs' is missing"),
        (b'{"inputs":{}}', "'inputs' is an object"),
        (b'{"inputs":[]}', "there are no inputs"),
        (b'{"inputs":[5]}', "input 0 is a number, expected a tensor"),
        (b'{"id":5,"inputs":[]}', "'id' is a number, expected a string"),
        (b'{"id":"a","id":"b","inputs":[%b]}' % json.dumps(GOOD).encode(), "duplicated"),
        (b'{"id":"a","inputs":[],"inputs":[]}', "duplicated"),
        (b'{"parameters":{"binary_data_output":1},"inputs":[]}', "'binary_data_output', expected true or false"),
        (b"[" * 60_000, "nested too deeply"),
        (b"[" * 100_000, "100000 bytes beside the data"),
        (b'{"a":' * 12_000, "nested too deeply"),
        (b'{"inputs":[' + b"9" * 5000 + b"]}", "too many digits"),
        (b'{"a":"%b"}' % (b"x" * 100_000), "100008 bytes beside the data"),
        (b'{"data":[1],"inputs":[]}', "send 'data' in inputs alone"),
        (b'{"inputs":[{"name":"x","shape":[1,6],"datatype":"FP32","d\\u0061ta":[]}]}', "with escapes"),
        (b"\xff\xfe{\0}\0", "not UTF-8"),
    ],
)
def test_a_body_that_is_no_request_is_an_error(app: Application, body: bytes, message: str) -> None:
    for _ in range(2):  # a second time from the cache, if there is one
        assert message in error(app.post(SMALL, body))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([{"name": "y"}], "there is no output 'y'; there are: probabilities, prediction, label"),
        ([{"name": "label"}, {"name": "label"}], "output 'label' is requested twice"),
        ([{}], "output 0 has no 'name'"),
        ([5], "output 0 is a number"),
        ({}, "'outputs' is an object"),
        ([{"name": "label", "parameters": {"classification": 1}}], "output 'label' has no classification"),
        ([{"name": "probabilities", "parameters": {"classification": -1}}], "has classification -1"),
        ([{"name": "label", "parameters": {"binary_data": "yes"}}], "the string 'yes' for 'binary_data'"),
        ([{"name": "label", "parameters": {"shared_memory_region": "a"}}], "in shared memory"),
    ],
)
def test_a_bad_output_is_an_error(app: Application, outputs: Any, message: str) -> None:
    assert message in error(app.post(SMALL, {"inputs": [GOOD], "outputs": outputs}))


PERSON = [
    tensor("height", "FP32", (1,), [1.8]),
    tensor("job", "BYTES", (1,), ["nurse"]),
    tensor("country", "BYTES", (1,), ["Italy"]),
]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (PERSON[1:], "there is no input 'height'"),
        (PERSON[:1], "there is no input 'job'"),
        ([*PERSON, PERSON[0]], "input 'height' is sent twice"),
        ([*PERSON, tensor("wage", "FP32", (1,), [1])], "there is an unknown input 'wage'; did you mean 'age'?"),
        ([*PERSON, tensor("age", "FP32", (2,), [1, 2])], "input 'age' has shape [2], expected [1] or [1, 1]"),
        ([*PERSON, tensor("age", "FP32", (1, 2), [1, 2])], "input 'age' has shape [1, 2], expected [1] or [1, 1]"),
        ([*PERSON[:2], tensor("country", "BYTES", (1,), ["Itly"])], "did you mean 'Italy'?"),
        ([*PERSON[:2], tensor("country", "BYTES", (1,), [7])], "input 'country', value 0 is 7, which is no BYTES"),
        ([*PERSON[:2], tensor("country", "INT64", (1,), [7])], "the code of a category, an integer from 0 to 2"),
        (
            [*PERSON, tensor("member", "BOOL", (1,), ["true"])],
            "input 'member', value 0 is the string 'true', which is no BOOL",
        ),
        ([tensor("job", "BYTES", (1,), [None]), PERSON[0]], "row 0, feature 'job' is null"),
    ],
)
def test_a_bad_column_is_an_error(app: Application, inputs: Any, message: str) -> None:
    assert message in error(app.post(PEOPLE, {"inputs": inputs}))


@pytest.mark.parametrize("length", ["-1", "x", "", "1.0", "+5", "99999999999999999999", "1_0", "٣", "500"])
def test_a_bad_length_of_the_json_is_an_error(app: Application, length: str) -> None:
    body, _ = binary({"inputs": [tensor("x", "FP32", (1, 6), binary_data_size=24)]}, SIX)
    found = app.ask("POST", SMALL, body, {LENGTH: length.encode("utf-8")})  # type: ignore[dict-item]
    assert "expected the bytes of the JSON" in error(found)


@pytest.mark.parametrize(
    ("sizes", "data", "message"),
    [
        ([24], SIX + b"\0", "the inputs have 24 bytes of binary data, and 25 bytes follow the JSON"),
        ([24], SIX[1:], "the inputs have 24 bytes of binary data, and 23 bytes follow the JSON"),
        ([23], SIX[1:], "input 'x' has 23 bytes, and 24 belong to the shape [1, 6] of FP32"),
        ([-24], SIX, "binary_data_size -24, expected a number of bytes"),
        ([10**18], SIX, "expected a number of bytes"),
        (["24"], SIX, "binary_data_size '24', expected a number of bytes"),
        ([True], SIX, "binary_data_size True, expected a number of bytes"),
    ],
)
def test_a_bad_size_of_binary_data_is_an_error(app: Application, sizes: list[Any], data: bytes, message: str) -> None:
    body, headers = binary({"inputs": [tensor("x", "FP32", (1, 6), binary_data_size=size) for size in sizes]}, data)
    assert message in error(app.ask("POST", SMALL, body, headers))
    if data == SIX and sizes == [24]:
        assert message in error(app.post(SMALL, body))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (strings(["nurse"])[:-1], "has 8 bytes, which are not 1 strings"),
        (strings(["nurse"]) + b"\0", "has 10 bytes, which are not 1 strings"),
        (b"\xff\xff\xff\xff", "has 4 bytes, which are not 1 strings"),
        (b"", "has 0 bytes, which are not 1 strings"),
        (b"\1\0\0\0\xff", "input 'job', value 0 is not UTF-8"),
    ],
)
def test_bad_strings_are_an_error(app: Application, data: bytes, message: str) -> None:
    job = tensor("job", "BYTES", (1,), binary_data_size=len(data))
    body, headers = binary({"inputs": [PERSON[0], job]}, data)
    assert message in error(app.ask("POST", PEOPLE, body, headers))


@given(body=st.binary(max_size=60), length=st.integers(0, 60), coding=st.sampled_from(["gzip", "deflate", ""]))
def test_random_bytes_are_an_error(app: Application, body: bytes, length: int, coding: str) -> None:
    headers = {LENGTH: str(length)} | ({"content-encoding": coding} if coding else {})
    assert app.ask("POST", SMALL, body, headers).status_code in {200 if len(body) == 24 else 400, 400}


def test_other_problems_have_their_status(app: Application) -> None:
    body = orjson.dumps({"inputs": [GOOD]})
    assert "expected gzip or deflate" in error(app.post(SMALL, body, content_encoding="br"), 415)
    assert "not deflate" in error(app.post(SMALL, body, content_encoding="deflate"))
    assert "expands to more than" in error(
        app.post(SMALL, zlib.compress(b" " * 20_000_000), content_encoding="deflate"), 413
    )
    late = app.post(SMALL, body, x_request_timeout_s="1e-9")
    assert late.status_code == 504
    assert "error" in late.json()
    assert "not found" in error(app.ask("GET", "/v2/nothing"), 404)
    refused = app.ask("GET", SMALL)
    assert refused.headers["allow"] == "POST"
    assert "method not allowed" in error(refused, 405)


@pytest.mark.parametrize("headers", [(), ("content-type: text/html",)])
def test_the_fast_path_answers_alike(app: Application, headers: tuple[str, ...]) -> None:
    data = np.arange(6, dtype="<f4").tobytes()
    body, length = binary({"inputs": [tensor("x", "FP32", (1, 6), binary_data_size=24)], **BINARY}, data)
    bad, _ = binary({"inputs": [tensor("x", "FP32", (1, 6), binary_data_size=20)], **BINARY}, data)
    for content, lines in (
        (body, (f"{LENGTH}: {length[LENGTH]}",)),
        (bad, (f"{LENGTH}: {length[LENGTH]}",)),
        (orjson.dumps({"inputs": [GOOD]}), ()),
        (data, (f"{LENGTH}: 0",)),
        (b"{", ()),
    ):
        fast, fastapi = app.on_both_paths(SMALL, content, *lines, *headers)
        assert fast == fastapi
        assert fast.startswith(b"HTTP/1.1 ")


# Without a prediction


def test_the_server_and_its_health_are_told(app: Application) -> None:
    server = app.ask("GET", "/v2").json()
    assert (server["name"], type(server["version"])) == ("mlp-serving", str)
    assert {"binary_tensor_data", "statistics", "model_configuration"} <= set(server["extensions"])
    for path in ("/v2/health/live", "/v2/health/ready"):
        response = app.ask("GET", path)
        assert (response.status_code, response.json()) == (200, {"live": True, "ready": True})
    for path in ("/v2/models/small/ready", "/v2/models/small/versions/1/ready"):
        assert app.ask("GET", path).json() == {"name": "small", "ready": True}
    for path in (
        "/v2/models/none",
        "/v2/models/none/ready",
        "/v2/models/small/versions/2/config",
        "/v2/models/none/stats",
    ):
        error(app.ask("GET", path), 404)
    index = app.ask("POST", "/v2/repository/index", b'{"ready":true}').json()
    assert {"name": "table", "version": "1", "state": "READY", "reason": ""} in index
    for action in ("load", "unload"):
        assert "not allowed" in error(app.ask("POST", f"/v2/repository/models/small/{action}", b"{}"))


def test_metadata_describe_the_tensors(app: Application) -> None:
    small = app.ask("GET", "/v2/models/small").json()
    assert small == {
        "name": "small",
        "versions": ["1"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "inputs", "datatype": "FP32", "shape": [-1, 2, 3]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "prediction", "datatype": "INT64", "shape": [-1]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    table = app.ask("GET", "/v2/models/price").json()
    assert [(each["name"], each["datatype"]) for each in table["inputs"]] == [
        ("age", "FP32"),
        ("height", "FP32"),
        ("member", "BOOL"),
        ("country", "BYTES"),
        ("job", "BYTES"),
    ]
    assert {tuple(each["shape"]) for each in table["inputs"]} == {(-1, 1)}
    assert table["outputs"] == [{"name": "prediction", "datatype": "FP32", "shape": [-1, 1]}]
    position = app.ask("GET", "/v2/models/position").json()
    assert position["outputs"] == [{"name": "prediction", "datatype": "FP32", "shape": [-1, 2]}]
    config = app.ask("GET", "/v2/models/table/config").json()
    assert config["max_batch_size"] == 20_000
    assert config["input"][3] == {"name": "country", "data_type": "TYPE_STRING", "dims": [1]}
    assert config["output"][0] == {"name": "probabilities", "data_type": "TYPE_FP32", "dims": [3]}


def test_what_metadata_ask_for_is_accepted_and_what_they_promise_is_answered(app: Application) -> None:
    for name in ("small", "flags", "table", "price", "position"):
        metadata = app.ask("GET", f"/v2/models/{name}").json()
        fill = {"BYTES": "nurse", "BOOL": True, "FP32": 1.5}
        inputs = [
            tensor(
                each["name"],
                each["datatype"],
                [2, *each["shape"][1:]],
                ["Italy" if each["name"] == "country" else fill[each["datatype"]]]
                * 2
                * int(np.prod(each["shape"][1:])),
            )
            for each in metadata["inputs"]
        ]
        found = answer(app.post(f"/v2/models/{name}/infer", {"inputs": inputs})).document["outputs"]
        promised = [each | {"shape": [2, *each["shape"][1:]]} for each in metadata["outputs"]]
        assert [{key: each[key] for key in ("name", "datatype", "shape")} for each in found] == promised


def test_statistics_count_every_request_exactly(tmp_path: Path) -> None:
    publish(tmp_path, "small")
    app = Application(tmp_path)
    rows = [[1.0, 2, 3, 4]] * 3
    inputs = [tensor("x", "FP32", (3, 4), [each for row in rows for each in row])]
    for _ in range(4):
        assert app.post("/v2/models/small/infer", {"inputs": inputs}).status_code == 200
    assert app.post("/predict", {"inputs": rows[:1]}).status_code == 200
    assert app.post("/predict", {"inputs": [[1e38] * 4]}).status_code in (200, 422)
    for path in ("/v2/models/stats", "/v2/models/small/stats", "/v2/models/small/versions/1/stats"):
        (found,) = app.ask("GET", path).json()["model_stats"]
        assert (found["name"], found["version"]) == ("small", "1")
        stats = found["inference_stats"]
        assert stats["success"]["count"] + stats["fail"]["count"] == 6
        assert found["inference_count"] == 12 + stats["success"]["count"] - 4
        assert found["execution_count"] == sum(each["compute_infer"]["count"] for each in found["batch_stats"]) == 6
        assert {each["batch_size"]: each["compute_infer"]["count"] for each in found["batch_stats"]} == {1: 2, 3: 4}
        assert 0 < stats["compute_infer"]["ns"] < stats["success"]["ns"]
        assert found["last_inference"] > 1_700_000_000_000
    app.close()


# OpenAPI


def test_openapi_describes_every_path_as_it_answers(app: Application) -> None:
    document = app.ask("GET", "/openapi.json").json()

    def fits(value: object, schema: dict[str, Any]) -> bool:
        whole = {**schema, "components": document["components"]}
        jsonschema.Draft202012Validator.check_schema(whole)
        return jsonschema.Draft202012Validator(whole).is_valid(value)

    for path, methods in document["paths"].items():
        if path.startswith("/v2") and "get" in methods:
            response = app.ask("GET", path.format(name="table", version=1))
            schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            assert response.status_code == 200
            assert fits(response.json(), schema), path
            assert not fits([5], schema)
            assert [each["name"] for each in methods["get"].get("parameters", [])] == [
                name for name in ("name", "version") if f"{{{name}}}" in path
            ]
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    content = infer["requestBody"]["content"]["application/json"]
    for model, example in content["examples"].items():
        assert fits(example["value"], content["schema"])
        response = app.post(f"/v2/models/{model}/infer", example["value"])
        assert response.status_code == 200, response.text
        assert fits(response.json(), infer["responses"]["200"]["content"]["application/json"]["schema"])
    bad = app.post(SMALL, {})
    assert fits(bad.json(), infer["responses"]["400"]["content"]["application/json"]["schema"])
    assert "422" not in infer["responses"]
