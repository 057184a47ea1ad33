"""The OpenAPI document: valid, true of the responses, with examples that work."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from PIL import Image

from service import app, metrics
from service.http import problems
from service.lifecycle import State
from service.settings import Settings
from tests.service.image_models import publish_images
from tests.service.pictures_drawn import file_of
from tests.service.published import TABLE, publish

ARROW = "application/vnd.apache.arrow.stream"
OF_ROWS = ("dtype", "ignore_unknown", "on_error")
PATHS = ("/predict", "/models/{name}/predict", "/models/{name}/versions/{version}/predict")


class Client:
    """Sends requests to an application in this process, on its own event loop."""

    def __init__(self, models: Path, default: str) -> None:
        self.runner = asyncio.Runner()
        self.service = self.runner.run(self._built(Settings(models=models, model=default)))
        self.service.lifecycle.advance(State.READY)
        self.document = self.ask("GET", "/openapi.json").json()

    async def _built(self, options: Settings) -> app.Service:
        return app.build(options, None, metrics.alone())

    def ask(self, method: str, path: str, content: object = None, csv: str | None = None) -> httpx.Response:
        async def response() -> httpx.Response:
            transport = httpx.ASGITransport(self.service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                if csv is not None:
                    return await client.request(method, path, content=csv, headers={"content-type": "text/csv"})
                return await client.request(method, path, json=content)

        return self.runner.run(response())

    def operation(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][path]["post"]
        return found

    def fits(self, value: object, schema: dict[str, Any]) -> bool:
        """Whether ``value`` is what a schema of the document describes."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator.check_schema(whole)
        return jsonschema.Draft202012Validator(whole).is_valid(value)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small", shape=(2, 2))
    publish(folder, "table", features=TABLE)
    publish(folder, "price", features=TABLE, targets=("price",))
    publish(folder, "position", targets=("x", "y"))
    client = Client(folder, "small")
    yield client
    client.runner.close()


def body_of(client: Client, path: str) -> dict[str, Any]:
    content: dict[str, Any] = client.operation(path)["requestBody"]["content"]["application/json"]
    return content


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_every_reference_can_be_resolved(client: Client) -> None:
    found = set(references(client.document))
    assert found
    for reference in found:
        part: Any = client.document
        for key in reference.removeprefix("#/").split("/"):
            part = part[key]


@pytest.mark.parametrize("path", PATHS)
def test_the_examples_fit_the_schema_and_get_the_described_responses(client: Client, path: str) -> None:
    body, operation = body_of(client, path), client.operation(path)
    assert list(body["examples"]) == ["position", "price", "small", "table"]
    answer_schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    for model, example in body["examples"].items():
        assert client.fits(example["value"], body["schema"])
        # The default path accepts only the default model's example.
        named = path if path != "/predict" or model == "small" else PATHS[1]
        response = client.ask("POST", named.format(name=model, version=1), example["value"])
        assert response.status_code == 200
        assert client.fits(response.json(), answer_schema)
        assert response.json()["model"] == model


PERSON = {"age": 41, "height": 1.8, "member": True, "country": "Italy", "job": "nurse"}


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        (PERSON, True),
        (PERSON | {"age": None, "member": None, "country": None, "job": "pilot"}, True),
        (PERSON | {"member": 1}, True),
        (PERSON | {"height": None}, False),
        (PERSON | {"job": None}, False),
        (PERSON | {"country": "Peru"}, False),
        (PERSON | {"country": 1}, False),
        (PERSON | {"age": "41"}, False),
        (PERSON | {"wage": 1}, False),
        ({"age": 41}, False),
        ({"height": 1.8, "job": "nurse"}, True),
        (list(PERSON.values()), True),
        ([[1, 2], [3, 4]], True),
        ("row", False),
        (list(PERSON.values())[1:], False),
        ([*PERSON.values(), 1], False),
        ([[1, 2], [3]], False),
        ([[1, 2], [3, 4], [5, 6]], False),
        ([1, 2, 3, 4], True),
        ([1, 2, 3], False),
        (PERSON | {"member": 2}, False),
        (PERSON | {"member": 0.5}, False),
        (PERSON | {"age": 1e39}, False),
    ],
)
def test_a_row_fits_the_schema_if_the_service_accepts_it(client: Client, row: Any, fits: bool) -> None:
    assert client.fits({"inputs": [row]}, body_of(client, "/predict")["schema"]) == fits
    if isinstance(row, dict):
        status = client.ask("POST", "/models/price/predict", {"inputs": [row]}).status_code
        assert status == (200 if fits else 422)


_TABLES = [
    ([PERSON], True),
    ([], False),
    ({name: [value, value] for name, value in PERSON.items()}, True),
    ({name: {"x": value} for name, value in PERSON.items()}, True),
    ({"height": [1.8], "job": ["cook"]}, True),
    ({"height": [1.8]}, False),
    ({"height": [1.8], "job": [1]}, False),
]
_SPLIT_TABLES = [
    ({"columns": [*PERSON], "data": [[*PERSON.values()]]}, True),
    ({"columns": [*PERSON], "data": []}, False),
]


@pytest.mark.parametrize(
    ("key", "body", "fits"),
    [(key, *each) for key in (None, "inputs") for each in (*_TABLES, *_SPLIT_TABLES)]
    + [("dataframe_split", *each) for each in _SPLIT_TABLES],
)
def test_the_schema_describes_tables(client: Client, key: str | None, body: Any, fits: bool) -> None:
    document = body if key is None else {key: body}
    assert client.fits(document, body_of(client, "/predict")["schema"]) == fits
    status = client.ask("POST", "/models/price/predict", document).status_code
    assert status == (200 if fits else 422)


def test_responses_fit_the_schema_with_every_option(client: Client) -> None:
    schema = client.operation("/predict")["responses"]["200"]["content"]["application/json"]["schema"]
    for query in ("top_k=2", "probabilities=false", "timing=true"):
        response = client.ask("POST", f"/predict?{query}", {"inputs": [[1, 2, 3, 4]]})
        assert client.fits(response.json(), schema)
    partly = client.ask("POST", "/predict?on_error=row&top_k=1", {"inputs": [[1, 2, 3, 4], [1]]})
    assert (partly.status_code, partly.json()["predictions"][1]) == (200, None)
    assert client.fits(partly.json(), schema)
    assert not client.fits({"model": "small", "version": 1}, schema)
    assert not client.fits({"model": "small", "version": 1, "predictions": None}, schema)


def test_every_problem_is_described(client: Client) -> None:
    for path in PATHS:
        responses = client.operation(path)["responses"]
        for status, name, title in problems.PROBLEMS.values():
            assert f"{title} (`{name}`)" in responses[str(status)]["description"]
    for path, body, status in (
        ("/predict", {"inputs": [[1]]}, 422),
        ("/predict?top_k=9", {"inputs": [[1, 2, 3, 4]]}, 400),
        ("/models/none/predict", {}, 404),
    ):
        response = client.ask("POST", path, body)
        assert response.status_code == status
        schema = client.operation("/predict")["responses"][str(status)]["content"][problems.MEDIA_TYPE]["schema"]
        assert client.fits(response.json(), schema)
        assert not client.fits({}, schema)


def test_a_request_has_bounds(client: Client) -> None:
    schema = body_of(client, "/predict")["schema"]
    assert client.fits({"instances": [PERSON]}, schema)
    for body in ({}, {"inputs": []}, {"inputs": [PERSON], "instances": [PERSON]}, {"inputs": [PERSON] * 10_001}):
        assert not client.fits(body, schema)
    assert client.fits({"inputs": [PERSON] * 10_000}, schema)
    (top_k,) = (each for each in client.operation("/predict")["parameters"] if each["name"] == "top_k")
    assert top_k["schema"] == {"type": "integer", "minimum": 1, "maximum": 3}


def test_every_type_that_is_read_and_written_is_described(client: Client) -> None:
    for path in PATHS:
        operation = client.operation(path)
        assert set(operation["requestBody"]["content"]) == {
            "application/json",
            "application/octet-stream",
            "application/x-npy",
            "text/csv",
            ARROW,
        }
        assert set(operation["responses"]["200"]["content"]) == {"application/json", "application/x-npy", ARROW}


def test_csv_examples_are_answered_when_sent(client: Client) -> None:
    examples = client.operation("/predict")["requestBody"]["content"]["text/csv"]["examples"]
    assert list(examples) == ["position", "price", "table"]
    for name, example in examples.items():
        response = client.ask("POST", f"/models/{name}/predict", csv=example["value"])
        assert response.status_code == 200


def test_422_is_described_only_where_rows_are_read(client: Client) -> None:
    for path, methods in client.document["paths"].items():
        for method, operation in methods.items():
            assert ("422" in operation["responses"]) == (method == "post" and path in (*PATHS, "/invocations")), path
    described = client.document["paths"]["/models/{name}"]["get"]["responses"]["404"]
    answer = client.ask("GET", "/models/none")
    assert answer.status_code == 404
    assert client.fits(answer.json(), described["content"][problems.MEDIA_TYPE]["schema"])


def parameters(client: Client) -> list[str]:
    return sorted(each["name"] for each in client.operation("/predict")["parameters"] if each["in"] == "query")


def test_options_of_classes_are_described_where_there_are_classes(client: Client, tmp_path: Path) -> None:
    publish(tmp_path, "position", targets=("x", "y"))
    numbers = Client(tmp_path, "position")
    assert parameters(client) == [*OF_ROWS, "probabilities", "timing", "top_k"]
    assert parameters(numbers) == [*OF_ROWS, "timing"]
    schema = numbers.operation("/predict")["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Numbers"}
    numbers.runner.close()


def test_a_model_is_described_with_targets_labels_and_features(client: Client) -> None:
    table, position = (client.ask("GET", f"/models/{name}").json() for name in ("table", "position"))
    assert (table["task"], table["labels"], table["targets"]) == ("classification", ["ape", "bee", "cat"], ["animal"])
    assert (position["task"], position["labels"], position["targets"]) == ("regression", [], ["x", "y"])
    assert table["features"][3] == {
        "name": "country",
        "kind": "categorical",
        "missing": True,
        "categories": ["France", "Germany", "Italy"],
        "other": False,
        **dict.fromkeys(("mean", "std", "min", "max"), 0.0),
    }


def test_paths_name_the_models_and_versions(client: Client) -> None:
    for pattern, path in client.document["paths"].items():
        for operation in path.values():
            known = {each["name"]: each["schema"]["enum"] for each in operation["parameters"] if each["in"] == "path"}
            assert known.get("name", []) == ["position", "price", "small", "table"] * ("{name}" in pattern)
            assert known.get("version", []) == ["1"] * ("{version}" in pattern)


def test_rows_that_are_images_are_described(client: Client, tmp_path: Path) -> None:
    publish_images(tmp_path, "pictures", (4, 4))
    pictures = Client(tmp_path, "pictures")
    image = {"b64": base64.b64encode(file_of(Image.fromarray(np.full((4, 4), 7, np.uint8)), "PNG")).decode()}
    for body in ({"inputs": [image, image]}, {"instances": [image]}, [image]):
        assert pictures.fits(body, body_of(pictures, "/predict")["schema"])
        assert pictures.ask("POST", "/predict", body).status_code == 200
    assert not client.fits({"inputs": [image]}, body_of(client, "/predict")["schema"])
    v1 = body_of(pictures, "/v1/models/{name}:predict")["schema"]
    assert pictures.fits({"instances": [image]}, v1)
    pictures.runner.close()


def test_an_image_does_not_name_each_pixel(client: Client) -> None:
    keyed = body_of(client, "/predict")["schema"]["anyOf"][0]
    rows = keyed["properties"]["inputs"]["anyOf"][0]["items"]["anyOf"]
    (image,) = (row for row in rows if row["description"] == "small: values by feature name")
    assert image["additionalProperties"]["type"] == "number"
    assert len(json.dumps(image)) < 250
