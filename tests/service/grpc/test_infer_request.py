"""ModelInferRequests to rows: the same numbers as REST, typed or raw, packed or not; errors say why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import RequestError
from service.grpc import infer_request, infer_response, wire
from service.grpc.infer_request import InferRequest
from service.http.codecs.json_rows import rows_from_json
from service.inference.model import Model
from service.inference.session import Outputs
from service.inference.steps import finish
from service.inference.tensors import DTYPES
from tests.service.grpc.running_grpc import ModelInferRequest, ModelInferResponse, raw_request, typed_request
from tests.service.http.protocols.application import Application
from tests.service.published import TABLE, publish

FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
NUMBERS = {"bool": 1, "int": 2, "int64": 3, "uint": 4, "uint64": 5, "fp32": 6, "fp64": 7}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    publish(folder, "table", features=TABLE)
    found = Application(folder)
    yield found
    found.close()


def model_of(application: Application, name: str) -> Model:
    return application.service.repository.find(name, None)


@pytest.fixture(scope="module")
def small(application: Application) -> Model:
    return model_of(application, "small")


@pytest.fixture(scope="module")
def table(application: Application) -> Model:
    return model_of(application, "table")


def decoded(content: bytes | Any, model: Model) -> tuple[NDArray[Any], infer_request.Choices]:
    body = content if isinstance(content, bytes) else content.SerializeToString()
    parts = finish(infer_request.split(body))
    request = InferRequest(parts.model, parts.version, None, {}, body, split=parts)
    found = infer_request.decode(request, model)
    return found if isinstance(found, tuple) else finish(found)


@pytest.mark.parametrize("datatype", [*FIELDS, "FP16"])
def test_each_datatype_raw_and_typed(small: Model, datatype: str) -> None:
    dtype = DTYPES[datatype]
    values = np.array([[0, 1, 1, 0], [1, 0, 1, 1]])
    if datatype != "BOOL":
        values = values * (100 if dtype.kind == "u" or dtype.itemsize == 1 else -1000)
    rows = values.astype(dtype)
    assert np.array_equal(decoded(raw_request(rows, datatype), small)[0], values)
    if datatype in FIELDS:
        found, choices = decoded(typed_request(rows, datatype, FIELDS[datatype]), small)
        assert np.array_equal(found, values)
        assert choices.typed


@given(rows=st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=4, max_size=4), min_size=1, max_size=5))
def test_integers_of_any_length(small: Model, rows: list[list[int]]) -> None:
    values = np.array(rows, np.int32)
    assert np.array_equal(decoded(typed_request(values, "INT32", "int_contents"), small)[0], values)
    wide = values.astype(np.int64) * 2**20
    assert np.array_equal(decoded(typed_request(wide, "INT64", "int64_contents"), small)[0], wide)


def unpacked(kind: str, encoded: list[bytes], wire_type: int, datatype: str) -> bytes:
    """A request of one row whose values are fields of their own."""
    key = wire.as_varint(NUMBERS[kind] << 3 | wire_type)
    contents = b"".join(key + each for each in encoded)
    head = {"name": "inputs", "datatype": datatype, "shape": [1, 4]}
    tensor = ModelInferRequest.InferInputTensor(**head).SerializeToString()
    return wire.field(1, b"small") + wire.field(5, tensor + wire.field(5, contents))


def test_values_may_be_fields_of_their_own(small: Model) -> None:
    values = np.array([1, -2, 300, 4], np.float32)
    request = unpacked("fp32", [each.tobytes() for each in values], wire.FIXED32, "FP32")
    assert np.array_equal(decoded(request, small)[0], [values])
    varints = [wire.packed([int(each)]) for each in values]
    assert np.array_equal(decoded(unpacked("int", varints, wire.VARINT, "INT16"), small)[0], [values])


@pytest.mark.parametrize("size_bytes", [4, 11, 65_536, 65_546, 200_000])
def test_an_integer_without_an_end_is_refused(small: Model, size_bytes: int) -> None:
    head = ModelInferRequest.InferInputTensor(name="inputs", datatype="INT32", shape=[1, 4]).SerializeToString()
    contents = wire.field(5, wire.field(2, b"\xff" * size_bytes))
    with pytest.raises(RequestError, match="an integer has no end"):
        decoded(wire.field(1, b"small") + wire.field(5, head + contents), small)


@pytest.mark.parametrize("datatype", ["INT32", "BYTES"])
def test_fields_that_are_no_values_are_read_in_steps(small: Model, datatype: str) -> None:
    """Unknown ones, and empty ones of another type."""
    head = ModelInferRequest.InferInputTensor(name="inputs", datatype=datatype, shape=[1, 4]).SerializeToString()
    for field in (b"\x78\x01", b"\x32\x00"):
        body = wire.field(1, b"small") + wire.field(5, head + wire.field(5, field * 50_000))
        request = InferRequest("small", None, None, {}, body, split=finish(infer_request.split(body)))
        steps: Any = infer_request.decode(request, small)
        taken: list[None] = []
        with pytest.raises(RequestError, match="too few values"):
            taken.extend(steps)
        assert len(taken) > 10


def test_contents_may_come_in_parts(small: Model) -> None:
    """Repeated messages are merged, as protocol buffers want it."""
    values = np.array([1, 2, 3, 4], np.float32)
    parts = [wire.field(5, wire.field(6, each.tobytes())) for each in (values[:1], values[1:])]
    tensor = ModelInferRequest.InferInputTensor(name="inputs", datatype="FP32", shape=[1, 4]).SerializeToString()
    request = wire.field(1, b"small") + wire.field(5, parts[0] + tensor + parts[1])
    assert np.array_equal(decoded(request, small)[0], [values])


def columns(raw: bool) -> Any:
    """Two rows of the table, one tensor a column; ``age`` and ``member`` are missing values."""
    texts = {"country": ["Italy", "France"], "job": ["nurse", "pilot"]}
    inputs, data = [], []
    for name, values in texts.items():
        encoded = [each.encode() for each in values]
        tensor: dict[str, Any] = {"name": name, "datatype": "BYTES", "shape": [2]}
        inputs.append(tensor if raw else tensor | {"contents": {"bytes_contents": encoded}})
        data.append(b"".join(len(each).to_bytes(4, "little") + each for each in encoded))
    heights = np.array([1.5, 1.75], np.float32)
    tensor = {"name": "height", "datatype": "FP32", "shape": [2, 1]}
    inputs.append(tensor if raw else tensor | {"contents": {"fp32_contents": heights.tolist()}})
    data.append(heights.tobytes())
    return ModelInferRequest(model_name="table", inputs=inputs, raw_input_contents=data if raw else [])


@pytest.mark.parametrize("raw", [True, False])
def test_a_table_by_columns(table: Model, raw: bool) -> None:
    expected = [[np.nan, 1.5, np.nan, 2, 1], [np.nan, 1.75, np.nan, 0, 2]]
    assert np.array_equal(decoded(columns(raw), table)[0], expected, equal_nan=True)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_the_rows_are_those_of_json(small: Model, values: list[float]) -> None:
    rows = np.array([values], np.float32)
    expected = rows_from_json(orjson.dumps({"inputs": rows.tolist()}), small.schema).astype(np.float32)
    for request in (raw_request(rows), typed_request(rows)):
        assert decoded(request, small)[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize("rows", [1, 7000])
@pytest.mark.parametrize("request_of", [raw_request, typed_request])
def test_the_response_has_the_requested_outputs(small: Model, request_of: Any, rows: int) -> None:
    probabilities = np.random.default_rng(0).random((rows, 3)).astype(np.float32)
    outputs = Outputs(probabilities, probabilities.argmax(axis=1))
    wanted = [{"name": "label"}, {"name": "probabilities", "parameters": {"classification": {"int64_param": 1}}}]
    request = request_of(np.zeros((1, 4), np.float32), outputs=wanted, id="é")
    choices = decoded(request, small)[1]
    response = infer_response.encode(outputs, choices, small.manifest)
    found = ModelInferResponse.FromString((response if not isinstance(response, Iterator) else finish(response)).body)
    assert (found.model_name, found.model_version, found.id) == ("small", "1", "é")
    label, ranked = found.outputs
    labels = [("ape", "bee", "cat")[index].encode() for index in outputs.prediction]
    assert (label.datatype, list(label.shape), list(ranked.shape)) == ("BYTES", [rows], [rows, 1])
    if found.raw_output_contents:
        assert found.raw_output_contents[0] == b"".join(len(each).to_bytes(4, "little") + each for each in labels)
    else:
        assert list(label.contents.bytes_contents) == labels
        assert all(
            each.endswith(b":" + name) for each, name in zip(ranked.contents.bytes_contents, labels, strict=True)
        )


SHAPED = {"name": "inputs", "datatype": "FP32", "shape": [1, 4]}
FOUR = {"contents": {"fp32_contents": [1, 2, 3, 4]}}
SHARED = {"parameters": {"shared_memory_region": {"string_param": "x"}}}


@pytest.mark.parametrize(
    ("inputs", "more", "detail"),
    [
        ([], {}, "there are no inputs"),
        ([SHAPED | FOUR | {"shape": [-1, 4]}], {}, "has shape"),
        ([SHAPED | FOUR | {"shape": [2**62, 4]}], {}, "expected at most"),
        ([SHAPED | FOUR | {"shape": [0, 4]}], {}, "zero rows"),
        ([SHAPED | FOUR | {"datatype": "FP99"}], {}, "datatype 'FP99'"),
        ([SHAPED | FOUR | {"datatype": "FP16"}], {}, "no typed contents; send it in raw_input_contents"),
        ([SHAPED | FOUR | {"datatype": "FP64"}], {}, "has fp32_contents, expected fp64_contents"),
        ([SHAPED | FOUR | {"datatype": "BYTES"}], {}, "has fp32_contents, expected bytes_contents"),
        ([SHAPED | {"contents": {"fp32_contents": [1, 2, 3, 4, 5]}}], {}, "too many values, and 4 belong to the shape"),
        ([SHAPED | FOUR], {"raw_input_contents": [b"\0" * 16]}, "both contents and raw_input_contents"),
        ([SHAPED | FOUR | SHARED], {}, "shared memory"),
        ([SHAPED | FOUR], {"outputs": [{"name": "label"} | SHARED]}, "shared memory"),
        (
            [SHAPED | {"datatype": "INT8", "contents": {"int_contents": [1, 2, 3, 128]}}],
            {},
            "value 3 is 128, which is no INT8",
        ),
        (
            [SHAPED | {"datatype": "INT16", "contents": {"int_contents": [1, 2, 3]}}],
            {},
            "too few values",
        ),
        ([SHAPED | {"contents": {"fp32_contents": [1, 2, 3, float("nan")]}}], {}, "row 0, feature 'f3' is NaN"),
        ([SHAPED | {"datatype": "BYTES", "contents": {"bytes_contents": [b"\xff"] * 4}}], {}, "value 0 is not UTF-8"),
        ([SHAPED | {"datatype": "BYTES", "contents": {"bytes_contents": [b"x"] * 4}}], {}, "'x'"),
        ([SHAPED | FOUR | {"name": "n" * 70_000}], {}, "beside the data of its inputs, expected at most 65536"),
    ],
)
def test_a_bad_request_is_told_why(small: Model, inputs: list[Any], more: dict[str, Any], detail: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(ModelInferRequest(inputs=inputs, **more), small)
    assert detail in str(caught.value)


def test_a_message_of_very_many_fields_is_refused(small: Model) -> None:
    with pytest.raises(RequestError, match="more than 65536 fields"):
        decoded(wire.field(7, b"") * 70_000, small)
    with pytest.raises(RequestError, match="more than 1000 fields"):
        decoded(wire.field(5, wire.field(5, b"") * 2000), small)


@given(data=st.data())
def test_a_changed_message_is_decoded_or_refused(table: Model, small: Model, data: st.DataObject) -> None:
    """Whatever the bytes are, nothing but a `RequestError` is raised, and nothing is taken that protobuf would not."""
    rows = np.array([[1, 2, 3, 4]], np.float32)
    valid = data.draw(
        st.sampled_from([raw_request(rows), typed_request(rows), columns(raw=True), columns(raw=False)])
    ).SerializeToString()
    content = bytearray(valid)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        if not content:
            return
    for model in (small, table):
        try:
            found, _ = decoded(bytes(content), model)
        except RequestError:
            continue
        assert found.shape[1] == model.schema.width
        ModelInferRequest.FromString(bytes(content))
