"""V1, as TF-Serving and KServe speak it: the same numbers as our own protocol."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import jsonschema
import numpy as np
import pytest

from tests.service.http.protocols.application import Application
from tests.service.published import TABLE, as_json, publish, values_of

SMALL = "/v1/models/small:predict"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small", shape=(2, 3))
    publish(folder, "table", features=TABLE)
    publish(folder, "price", features=TABLE, targets=("price",))
    publish(folder, "position", targets=("x", "y"))
    application = Application(folder, model="small", max_request_rows=20_000)
    yield application
    application.close()


def expected(app: Application, model: str, rows: Any) -> Any:
    document = app.post(f"/models/{model}/predict", {"inputs": rows}).json()
    return document.get("probabilities", document["predictions"])


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("key", ["instances", "inputs"])
@pytest.mark.parametrize("model", ["small", "table", "price", "position"])
def test_predictions_are_probabilities_or_numbers(app: Application, model: str, key: str, coding: str) -> None:
    rows: Any = [[1.5, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1e-3]]
    if model in ("table", "price"):
        rows = [as_json(TABLE, row) for row in values_of(TABLE, 3, 1)]
    if model == "position":
        rows = [[1, 2, 3, 4]]
    body = json.dumps({key: rows, "signature_name": "serving_default"}).encode()
    headers = {"content_encoding": coding} if coding else {}
    body = {"": body, "gzip": gzip.compress(body), "deflate": zlib.compress(body)}[coding]
    for path in (f"/v1/models/{model}:predict", f"/v1/models/{model}/versions/1:predict"):
        response = app.post(path, body, **headers)
        assert response.json() == {"predictions": expected(app, model, rows)}


@pytest.mark.parametrize("model", ["small", "price", "position"])
def test_large_bodies_are_the_same(app: Application, model: str) -> None:
    if model == "price":
        rows: Any = [as_json(TABLE, row) for row in values_of(TABLE, 20_000, 1)]
    else:
        width = 6 if model == "small" else 4
        rows = np.random.default_rng(0).normal(0, 1, (20_000, width)).round(3).tolist()
    response = app.post(f"/v1/models/{model}:predict", {"instances": rows})
    assert response.json() == {"predictions": expected(app, model, rows)}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        (SMALL, b"{", 400, "the body is not JSON"),
        (SMALL, b'{"instances":[[1,2]]}', 400, "row 0 has 2 values, expected 6 values"),
        (SMALL, b'{"instances":[]}', 400, "there are zero rows"),
        (SMALL, b"{}", 400, "the body has no key 'inputs' (or 'instances'"),
        ("/v1/models/none:predict", b"{}", 404, "there is no model 'none'"),
        ("/v1/models/small/versions/9:predict", b"{}", 404, "has no version '9'"),
        ("/v1/models/small:explain", b"{}", 405, "method not allowed"),
        ("/v1/other", b"{}", 404, "not found"),
    ],
)
def test_errors_are_objects(app: Application, path: str, body: bytes, status: int, message: str) -> None:
    response = app.post(path, body)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]


def test_the_fast_path_answers_alike(app: Application) -> None:
    for body in (b'{"instances":[[1,2,3,4,5,6]]}', b"{", b'{"instances":5}'):
        fast, fastapi = app.on_both_paths(SMALL, body)
        assert fast == fastapi


def test_the_status_of_models_is_told(app: Application) -> None:
    assert app.ask("GET", "/").json() == {"status": "alive"}
    assert set(app.ask("GET", "/v1/models").json()["models"]) == {"small", "table", "price", "position"}
    for path in ("/v1/models/small", "/v1/models/small/versions/1"):
        document = app.ask("GET", path).json()
        assert (document["name"], document["ready"]) == ("small", True)
        (status,) = document["model_version_status"]
        assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    assert app.ask("GET", "/v1/models/none").status_code == 404


def test_openapi_describes_requests_and_answers(app: Application) -> None:
    document = app.ask("GET", "/openapi.json").json()
    operation = document["paths"]["/v1/models/{name}:predict"]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    for model, example in operation["requestBody"]["content"]["application/json"]["examples"].items():
        assert validator.is_valid(app.post(f"/v1/models/{model}:predict", example["value"]).json())
    assert not validator.is_valid({"predictions": ["a"]})
