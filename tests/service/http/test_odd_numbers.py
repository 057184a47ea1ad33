"""Numbers at the edges of their types: every encoding gives them the same answer, or refuses them with 4xx."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import numpy as np
import pyarrow as pa
import pytest

from tests.service.http.codecs.schemas import saved
from tests.service.http.codecs.tables import as_arrow
from tests.service.http.protocols.application import Application
from tests.service.http.protocols.test_open_inference_v2 import binary, tensor
from tests.service.published import TABLE, publish

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
RAW, ARROW = "application/octet-stream", "application/vnd.apache.arrow.stream"

INTEGERS = [
    value for power in (53, 63, 64) for near in (2**power - 1, 2**power, 2**power + 1) for value in (near, -near)
] + [10**30, 10**38, 10**39, -(10**39), 10**308, 10**309, 10**400, 10**5000]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "one", shape=(1,))
    publish(folder, "people", features=TABLE)
    application = Application(folder, model="one")
    yield application
    application.close()


def own(content_type: str, body: bytes) -> Callable[[Application], httpx.Response]:
    return lambda app: app.post("/predict", body, content_type=content_type)


def v2(text: str, datatype: str) -> Callable[[Application], httpx.Response]:
    head = f'"name":"x","shape":[1,1],"datatype":"{datatype}"'
    return lambda app: app.post("/v2/models/one/infer", f'{{"inputs":[{{{head},"data":[{text}]}}]}}'.encode())


def v2_binary(value: float, datatype: str, dtype: str) -> Callable[[Application], httpx.Response]:
    data = np.array([value], dtype).tobytes()
    described = tensor("x", datatype, (1, 1), binary_data_size=len(data))
    body, headers = binary({"inputs": [described]}, data)
    return lambda app: app.ask("POST", "/v2/models/one/infer", body, headers)


def spelled(text: str) -> dict[str, Callable[[Application], httpx.Response]]:
    """The ways to send a number as text."""
    return {
        "JSON": own(JSON, f'{{"inputs":[[{text}]]}}'.encode()),
        "JSON by name": own(JSON, f'[{{"f0":{text}}}]'.encode()),
        "JSON by column": own(JSON, f'{{"f0":[{text}]}}'.encode()),
        "CSV": own(CSV, f"f0\n{text}\n".encode()),
        "V1": lambda app: app.post("/v1/models/one:predict", f'{{"instances":[[{text}]]}}'.encode()),
        "V2 FP32": v2(text, "FP32"),
        "V2 FP64": v2(text, "FP64"),
    }


def probabilities(response: httpx.Response) -> list[float] | None:
    """The answer to one row; None if it was refused."""
    assert response.status_code in (200, 400, 422), response.text
    if response.status_code != 200:
        return None
    document = response.json()
    if "outputs" in document:
        found: list[float] = next(each["data"] for each in document["outputs"] if each["name"] == "probabilities")
        return found
    row: list[float] = document.get("probabilities", document.get("predictions"))[0]
    return row


def as_float(value: int) -> str:
    """A number of 17 digits or more, as JSON has floats."""
    digits = _decimal(abs(value))
    return f"{'-' * (value < 0)}{digits[0]}.{digits[1:] or 0}e{len(digits) - 1}"


@pytest.mark.parametrize("value", INTEGERS, ids=lambda value: f"{Decimal(value):.3e}")
def test_an_integer_and_its_float_spelling_fare_alike(app: Application, value: int) -> None:
    expected = probabilities(own(JSON, f"[[{as_float(value)}]]".encode())(app))
    assert (expected is None) == (abs(value) > 3.5e38)
    for text in (as_float(value), _decimal(value)):
        for name, send in spelled(text).items():
            if name == "CSV" and len(text) > 400:
                continue
            assert probabilities(send(app)) == expected, (name, text[:40])


def _decimal(value: int) -> str:
    """The digits of an integer, also of one too long for `str`."""
    return f"{Decimal(value):f}"


@pytest.mark.parametrize("value", [each for each in INTEGERS if abs(each) < 2**64])
def test_typed_integers_fare_like_their_text(app: Application, value: int) -> None:
    expected = probabilities(own(JSON, f"[[{value}]]".encode())(app))
    sends = [own(NPY, saved(np.array([[value]], np.float64))), v2_binary(value, "FP64", "<f8")]
    for datatype, dtype in (("INT64", "<i8"), ("UINT64", "<u8")):
        info = np.iinfo(dtype)
        if info.min <= value <= info.max:
            sends.append(own(NPY, saved(np.array([[value]], dtype))))
            sends.append(own(ARROW, as_arrow(pa.table({"f0": np.array([value], dtype)}))))
            sends.append(v2_binary(value, datatype, dtype))
            sends.append(v2(str(value), datatype))
    sends.append(own(ARROW, as_arrow(pa.table({"f0": pa.array([Decimal(value)], pa.decimal128(38, 0))}))))
    sends.append(own(RAW, np.array([value], "<f4").tobytes()))
    for send in sends:
        assert probabilities(send(app)) == expected


@pytest.mark.parametrize("value", [2**63 + 2**11, 2**64, -(2**63) - 2**11, 10**400])
@pytest.mark.parametrize("datatype", ["INT64", "INT32", "UINT8", "BOOL"])
def test_an_integer_out_of_range_is_refused(app: Application, value: int, datatype: str) -> None:
    for text in (str(value), as_float(value)):
        assert v2(text, datatype)(app).status_code == 400


@pytest.mark.parametrize(
    ("number", "texts"),
    [(np.nan, ["NaN"]), (np.inf, ["Infinity", "1e999"]), (-np.inf, ["-Infinity", "-1e999"])],
    ids=str,
)
def test_what_is_not_finite_is_refused(app: Application, number: float, texts: list[str]) -> None:
    sends = [send for text in [*texts, str(number)] for send in spelled(text).values()]
    sends += [own(NPY, saved(np.array([[number]], dtype))) for dtype in ("<f4", "<f8", ">f4", "<f2")]
    sends.append(own(RAW, np.array([number], "<f4").tobytes()))
    sends += [own(ARROW, as_arrow(pa.table({"f0": np.array([number], dtype)}))) for dtype in ("f2", "f4", "f8")]
    sends += [v2_binary(number, datatype, dtype) for datatype, dtype in (("FP16", "<f2"), ("FP32", "<f4"))]
    sends.append(v2_binary(number, "FP64", "<f8"))
    for send in sends:
        assert probabilities(send(app)) is None


@pytest.mark.parametrize("name", ["age", "member", "country", "job"])
@pytest.mark.parametrize("value", [0, 1, 2, 2**53 + 1, 2**63, 2**64, 10**400, -1])
def test_each_kind_of_column_takes_both_spellings_or_none(app: Application, name: str, value: int) -> None:
    person = {"height": 1.8, "job": "cook", name: 12345}
    outcomes = []
    for text in (str(value), as_float(value)):
        row = json.dumps(person).replace("12345", text)
        for path, body in (
            ("/models/people/predict", f'{{"inputs":[{row}]}}'),
            ("/v1/models/people:predict", f'{{"instances":[{row}]}}'),
        ):
            response = app.post(path, body.encode())
            assert response.status_code < 500
            outcomes.append((response.status_code == 200, probabilities(response)))
    assert outcomes == outcomes[:1] * 4, re.sub(r"\s+", " ", response.text)
