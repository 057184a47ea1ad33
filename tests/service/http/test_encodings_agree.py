"""The same rows get the same numbers in every encoding of every protocol, bit for bit.

`TABLE_SENDERS` and `IMAGE_SENDERS` have one function for each way to send rows. It returns the probabilities as
float32 (rows, classes).
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from tests.service.grpc.running_grpc import ModelInferRequest, RunningGrpc, probabilities_of
from tests.service.http.codecs.tables import FEATURES, NAMES, arrow_table, as_arrow, as_csv, as_split
from tests.service.http.codecs.test_multipart import form
from tests.service.http.protocols.application import Application
from tests.service.http.protocols.test_open_inference_v2 import answer, binary, strings, tensor
from tests.service.image_models import publish_images
from tests.service.pictures_drawn import file_of
from tests.service.published import publish

Numbers = NDArray[np.float32]
Row = dict[str, Any]


class App(Application):
    """An application in this process, and a server of the same models that also speaks gRPC."""

    def __init__(self, models: Path, **options: Any) -> None:
        super().__init__(models, **options)
        self.grpc = RunningGrpc(models)

    def close(self) -> None:
        self.grpc.__exit__(None, None, None)
        super().close()


TableSender = Callable[[App, list[Row]], Numbers]
ImageSender = Callable[[App, NDArray[np.uint8]], Numbers]

TABLE, IMAGES = "table", "images"
SHAPE = (3, 4)
PIXELS = [f"f{index}" for index in range(12)]
RAW, NPY, CSV = "application/octet-stream", "application/x-npy", "text/csv"
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, TABLE, features=FEATURES)
    publish_images(folder, IMAGES, SHAPE)
    application = App(folder, model=TABLE)
    yield application
    application.close()


def own(app: Application, model: str, body: object, content_type: str = "application/json", query: str = "") -> Numbers:
    """Sent to our own protocol."""
    response = app.post(f"/models/{model}/predict{query}", body, content_type=content_type)
    assert response.status_code == 200, response.text
    return np.array(response.json()["probabilities"], np.float32)


def v1(app: Application, model: str, body: object) -> Numbers:
    response = app.post(f"/v1/models/{model}:predict", body)
    assert response.status_code == 200, response.text
    return np.array(response.json()["predictions"], np.float32)


def v2(app: Application, model: str, *inputs: dict[str, Any], data: tuple[bytes, ...] = ()) -> Numbers:
    """JSON tensors, or binary ones and answers if there are ``data``."""
    request = {"inputs": list(inputs), "parameters": {"binary_data_output": bool(data)}}
    body, headers = binary(request, *data) if data else (json.dumps(request).encode(), {})
    found: Numbers = answer(app.ask("POST", f"/v2/models/{model}/infer", body, headers)).outputs["probabilities"]
    return found


def grpc_tensors(app: App, model: str, inputs: list[dict[str, Any]], raw: list[bytes] | None = None) -> Numbers:
    """Tensors with typed contents, or with ``raw`` ones."""
    request = ModelInferRequest(model_name=model, inputs=inputs, raw_input_contents=raw or [])
    found: Numbers = probabilities_of(app.grpc.call("ModelInfer", request))
    return found


def npy(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


# Tables


def as_codes(rows: list[Row]) -> NDArray[np.float32]:
    """The rows as arrays have them: the index of a category, NaN for a missing value."""

    def code(name: str, value: Any) -> float:
        feature = FEATURES[NAMES.index(name)]
        if value is None:
            return np.nan
        if not feature.categories:
            return float(value)
        return float(feature.categories.index(value) if value in feature.categories else len(feature.categories))

    return np.array([[code(name, row[name]) for name in NAMES] for row in rows], np.float32)


def frame(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in NAMES})


def pandas_json(orient: str, key: str | None, app: Application, rows: list[Row]) -> Numbers:
    text = frame(rows).to_json(orient=orient, double_precision=15)  # type: ignore[call-overload]
    return own(app, TABLE, (text if key is None else f'{{"{key}": {text}}}').encode())


def one_tensor(datatype: str, in_json: bool, app: Application, rows: list[Row]) -> Numbers:
    codes = as_codes(rows).astype({"FP32": "<f4", "FP64": "<f8"}[datatype])
    if not in_json:
        size = codes.nbytes
        described = tensor("any", datatype, codes.shape, binary_data_size=size)
        return v2(app, TABLE, described, data=(codes.tobytes(),))
    data = [None if np.isnan(value) else value for value in codes.ravel().tolist()]
    return v2(app, TABLE, tensor("any", datatype, codes.shape, data))


def tensor_per_column(app: Application, rows: list[Row]) -> Numbers:
    types = {"numeric": "FP64", "boolean": "BOOL", "categorical": "BYTES"}
    inputs = [
        tensor(each.name, types[each.kind], (len(rows), 1), [row[each.name] for row in rows]) for each in FEATURES
    ]
    return v2(app, TABLE, *inputs)


def binary_tensor_per_column(app: Application, rows: list[Row]) -> Numbers:
    """Columns without missing values in their own type, those with some as numbers."""
    codes, inputs, data = as_codes(rows), [], []
    for index, each in enumerate(FEATURES):
        values = [row[each.name] for row in rows]
        if each.missing or each.kind == "numeric":
            datatype, content = "FP32", codes[:, index].tobytes()
        elif each.kind == "boolean":
            datatype, content = "BOOL", np.array(values, np.uint8).tobytes()
        else:
            datatype, content = "BYTES", strings(values)
        inputs.append(tensor(each.name, datatype, (len(rows),), binary_data_size=len(content)))
        data.append(content)
    return v2(app, TABLE, *inputs, data=tuple(data))


def grpc_rows(app: App, rows: list[Row], *, typed: bool) -> Numbers:
    codes = as_codes(rows)
    described: dict[str, Any] = {"name": "inputs", "datatype": "FP32", "shape": codes.shape}
    if typed:
        return grpc_tensors(app, TABLE, [described | {"contents": {"fp32_contents": codes.ravel().tolist()}}])
    return grpc_tensors(app, TABLE, [described], [codes.tobytes()])


def grpc_columns(app: App, rows: list[Row], *, typed: bool) -> Numbers:
    """Categories as strings, but as codes in a column where some are missing; the other columns as numbers."""
    codes, inputs, raw = as_codes(rows), [], []
    for index, each in enumerate(FEATURES):
        values = [row[each.name] for row in rows]
        is_text = each.kind == "categorical" and None not in values
        texts = [str(value).encode() for value in values]
        numbers = codes[:, index]
        contents = {"bytes_contents": texts} if is_text else {"fp32_contents": numbers.tolist()}
        described = {"name": each.name, "datatype": "BYTES" if is_text else "FP32", "shape": (len(rows), 1)}
        inputs.append(described | ({"contents": contents} if typed else {}))
        raw.append(strings(values) if is_text else numbers.tobytes())
    return grpc_tensors(app, TABLE, inputs, None if typed else raw)


TABLE_SENDERS: dict[str, TableSender] = {
    "JSON by name": lambda app, rows: own(app, TABLE, {"inputs": rows}),
    "JSON by position": lambda app, rows: own(app, TABLE, [[row[name] for name in NAMES] for row in rows]),
    "JSON by column": lambda app, rows: own(app, TABLE, {name: [row[name] for row in rows] for name in NAMES}),
    "pandas records": partial(pandas_json, "records", None),
    "pandas split": partial(pandas_json, "split", "dataframe_split"),
    "pandas columns": partial(pandas_json, "columns", "inputs"),
    "MLflow split": lambda app, rows: own(app, TABLE, as_split(rows, NAMES[::-1])),
    "raw": lambda app, rows: own(app, TABLE, as_codes(rows).tobytes(), RAW),
    ".npy": lambda app, rows: own(app, TABLE, npy(as_codes(rows)), NPY),
    ".npy float64": lambda app, rows: own(app, TABLE, npy(np.asfortranarray(as_codes(rows), np.float64)), NPY),
    "CSV": lambda app, rows: own(app, TABLE, as_csv(rows, NAMES[::-1]), CSV),
    "CSV by position": lambda app, rows: own(app, TABLE, as_csv(rows, NAMES, header=False), "text/csv; header=absent"),
    "Arrow": lambda app, rows: own(app, TABLE, as_arrow(arrow_table(rows, NAMES[::-1])), ARROW),
    "Arrow compressed": lambda app, rows: own(app, TABLE, as_arrow(arrow_table(rows, NAMES), "zstd", 2), ARROW),
    "V1": lambda app, rows: v1(app, TABLE, {"instances": rows}),
    "V2 JSON": partial(one_tensor, "FP32", True),
    "V2 JSON FP64": partial(one_tensor, "FP64", True),
    "V2 JSON per column": tensor_per_column,
    "V2 binary": partial(one_tensor, "FP32", False),
    "V2 binary FP64": partial(one_tensor, "FP64", False),
    "V2 binary per column": binary_tensor_per_column,
    "gRPC raw": partial(grpc_rows, typed=False),
    "gRPC typed": partial(grpc_rows, typed=True),
    "gRPC raw per column": partial(grpc_columns, typed=False),
    "gRPC typed per column": partial(grpc_columns, typed=True),
}

numbers = st.floats(-1e4, 1e4, width=32)
rows_of_tables = st.lists(
    st.fixed_dictionaries(
        {
            "income": st.none() | numbers,
            "height": numbers,
            "member": st.none() | st.booleans(),
            "active": st.booleans(),
            "city": st.none() | st.sampled_from(FEATURES[4].categories),
            "job": st.sampled_from([*FEATURES[5].categories, "something else"]),
        }
    ),
    min_size=1,
    max_size=5,
)


@given(rows_of_tables)
@settings(max_examples=30, deadline=None)
def test_rows_of_a_table(app: App, rows: list[Row]) -> None:
    expected = TABLE_SENDERS["JSON by name"](app, rows)
    for name, send in TABLE_SENDERS.items():
        assert send(app, rows).tobytes() == expected.tobytes(), name


# Images


def as_rows(pixels: NDArray[np.uint8]) -> list[Row]:
    return [dict(zip(PIXELS, row, strict=True)) for row in pixels.reshape(len(pixels), -1).tolist()]


def png(image: NDArray[np.uint8]) -> bytes:
    return file_of(Image.fromarray(image), "PNG")


def base64_of(pixels: NDArray[np.uint8]) -> list[dict[str, str]]:
    return [{"b64": base64.b64encode(png(image)).decode()} for image in pixels]


def files(app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    return np.concatenate([own(app, IMAGES, png(image), "image/png") for image in pixels])


def multipart(app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    content_type, body = form(*(("image", ("name", png(image))) for image in pixels))
    return own(app, IMAGES, body, content_type.decode())


def pixel_frame(orient: str, app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    text = pd.DataFrame(pixels.reshape(len(pixels), -1), columns=PIXELS).to_json(orient=orient)  # type: ignore[call-overload]
    return own(app, IMAGES, text.encode())


def image_csv(app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    return own(app, IMAGES, as_csv(as_rows(pixels), PIXELS), CSV)


def image_arrow(app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    return own(
        app, IMAGES, as_arrow(pa.table(dict(zip(PIXELS, pixels.reshape(len(pixels), -1).T, strict=True)))), ARROW
    )


def image_tensor(datatype: str, dtype: str, flat: bool, app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    values = pixels.reshape(len(pixels), -1) if flat else pixels
    content = values.astype(dtype).tobytes()
    described = tensor("inputs", datatype, values.shape, binary_data_size=len(content))
    return v2(app, IMAGES, described, data=(content,))


def grpc_image(datatype: str, dtype: str, field: str, app: App, pixels: NDArray[np.uint8]) -> Numbers:
    """With typed contents in ``field``, or raw without."""
    values = pixels.astype(dtype)
    described: dict[str, Any] = {"name": "inputs", "datatype": datatype, "shape": values.shape}
    if field:
        return grpc_tensors(app, IMAGES, [described | {"contents": {field: values.ravel().tolist()}}])
    return grpc_tensors(app, IMAGES, [described], [values.tobytes()])


def image_numbers(flat: bool, app: Application, pixels: NDArray[np.uint8]) -> Numbers:
    data = pixels.ravel().tolist() if flat else pixels.tolist()
    return v2(app, IMAGES, tensor("inputs", "UINT8", pixels.shape, data))


IMAGE_SENDERS: dict[str, ImageSender] = {
    "JSON nested": lambda app, pixels: own(app, IMAGES, {"inputs": pixels.tolist()}),
    "JSON flat": lambda app, pixels: own(app, IMAGES, pixels.reshape(len(pixels), -1).tolist()),
    "JSON of floats": lambda app, pixels: own(app, IMAGES, {"instances": pixels.astype(float).tolist()}),
    "JSON by name": lambda app, pixels: own(app, IMAGES, as_rows(pixels)),
    "JSON base64": lambda app, pixels: own(app, IMAGES, {"inputs": base64_of(pixels)}),
    "pandas records": partial(pixel_frame, "records"),
    "pandas split": partial(pixel_frame, "split"),
    "raw uint8": lambda app, pixels: own(app, IMAGES, pixels.tobytes(), RAW, "?dtype=uint8"),
    "raw float32": lambda app, pixels: own(app, IMAGES, pixels.astype("<f4").tobytes(), RAW, "?dtype=float32"),
    ".npy uint8": lambda app, pixels: own(app, IMAGES, npy(pixels), NPY),
    ".npy big-endian": lambda app, pixels: own(app, IMAGES, npy(pixels.astype(">i4")), NPY),
    "CSV": image_csv,
    "Arrow": image_arrow,
    "PNG": files,
    "multipart": multipart,
    "V1": lambda app, pixels: v1(app, IMAGES, {"instances": pixels.tolist()}),
    "V1 base64": lambda app, pixels: v1(app, IMAGES, {"instances": base64_of(pixels)}),
    "V2 JSON flat": partial(image_numbers, True),
    "V2 JSON nested": partial(image_numbers, False),
    "V2 binary UINT8": partial(image_tensor, "UINT8", "u1", False),
    "V2 binary INT64": partial(image_tensor, "INT64", "<i8", True),
    "V2 binary FP16": partial(image_tensor, "FP16", "<f2", True),
    "V2 binary FP32": partial(image_tensor, "FP32", "<f4", True),
    "gRPC raw UINT8": partial(grpc_image, "UINT8", "u1", ""),
    "gRPC typed UINT8": partial(grpc_image, "UINT8", "u1", "uint_contents"),
    "gRPC typed FP64": partial(grpc_image, "FP64", "<f8", "fp64_contents"),
}


@given(st.integers(1, 4).flatmap(lambda count: arrays(np.uint8, (count, *SHAPE))))
@settings(max_examples=30, deadline=None)
def test_images(app: App, pixels: NDArray[np.uint8]) -> None:
    expected = IMAGE_SENDERS["JSON nested"](app, pixels)
    for name, send in IMAGE_SENDERS.items():
        assert send(app, pixels).tobytes() == expected.tobytes(), name
