"""Another protocol is one class, passed to `app.build`, and works on both paths and in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service import app, metrics
from service.errors import Fault, InvalidInput, RequestError
from service.http.messages import Request, Response
from service.http.paths import RouteTable
from service.http.protocols.base import BodyFormat, Decoded, Endpoint, Operation, Resource, Served
from service.http.protocols.native import NativeProtocol
from service.inference.model import Model
from service.inference.session import Outputs
from service.inference.steps import Steps
from service.settings import Settings
from tests.service.http.transport.both_paths import BothPaths
from tests.service.running import post

TEXT = ((b"content-type", b"text/plain"),)


class Plain:
    timing = False


class LinesProtocol:
    """One row per line, values separated by spaces; answers class indexes. A body with ``!`` is decoded in steps."""

    paths: Mapping[str, Endpoint] = {"/lines/{name}:ask": Endpoint("Lines", "Rows as lines.")}

    @property
    def resources(self) -> Mapping[str, Resource]:
        return {"/lines/{name}": Resource("GET", Endpoint("Width", "How many values a line has."), self._width)}

    def _width(self, served: Served, parameters: Mapping[str, str]) -> Response:
        width = served.repository.find(parameters["name"], None).schema.width
        return Response(200, TEXT, b"%d" % width)

    def decode(self, request: Request, model: Model) -> Decoded[Plain] | Steps[Decoded[Plain]]:
        if b"!" in request.body:
            return self._decode_later(request.body.replace(b"!", b""), model)
        return self._rows(request.body, model), Plain()

    def encode(self, outputs: Outputs, options: Plain, model: Model) -> Response | Steps[Response]:  # noqa: ARG002 - as in the protocol
        lines = [str(index).encode() for index in outputs.prediction.tolist()]
        return self._encode_later(lines) if len(lines) > 1 else Response(200, TEXT, lines[0])

    def error(self, error: RequestError, request_id: str) -> Response:
        return Response(400, TEXT, f"{request_id}: {error}".encode())

    def body_format(self, request: Request, model: Model) -> BodyFormat:  # noqa: ARG002 - as in the protocol
        return BodyFormat("lines", None)

    def operation(self, models: Sequence[Model]) -> Operation:
        description = f"rows of {' or '.join(str(model.schema.width) for model in models)} values"
        return Operation([], {"content": {"text/plain": {"schema": {"description": description}}}}, {"200": {}})

    def _rows(self, body: bytes, model: Model) -> np.ndarray[Any, Any]:
        try:
            rows = np.array([line.split() for line in body.splitlines()], np.float32)
        except ValueError as error:
            raise InvalidInput(Fault("these are no lines of numbers")) from error
        model.schema.check_count(len(rows))
        return rows.reshape(-1, model.schema.width)

    def _decode_later(self, body: bytes, model: Model) -> Steps[Decoded[Plain]]:
        yield
        return self._rows(body, model), Plain()

    def _encode_later(self, lines: list[bytes]) -> Steps[Response]:
        yield
        return Response(200, TEXT, b"\n".join(lines))


async def responses(options: Settings, request: bytes) -> tuple[bytes, bytes]:
    """The responses of the fast path and the FastAPI routes."""
    service = app.build(options, None, metrics.alone(), [LinesProtocol()])
    async with service.app.router.lifespan_context(service.app):
        return await BothPaths(service).responses(request)


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"1 2 3 4", b"1 2 3 4!", b"1 2 3 4\n1 2 3 4"])
async def test_both_paths_answer_it_alike(models: Path, body: bytes) -> None:
    fast, fastapi = await responses(Settings(models=models), post(body, "/lines/small:ask"))
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: text/plain\r\n" in fast
    _head, answer = fast.split(b"\r\n\r\n")
    assert answer.splitlines() == [answer[:1]] * len(body.splitlines())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "status", "content"),
    [("/lines/small", b"200 OK", b"4"), ("/lines/large", b"400 Bad Request", b"<id>: there is no model 'large'")],
)
async def test_a_resource_is_answered_without_a_prediction(
    models: Path, path: str, status: bytes, content: bytes
) -> None:
    fast, fastapi = await responses(Settings(models=models), f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    assert fast == fastapi
    assert fast.startswith(b"HTTP/1.1 %b\r\n" % status)
    assert fast.split(b"\r\n\r\n")[1].startswith(content)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/lines/small:ask", b"1 2 3 four", b"these are no lines of numbers"),
        ("/lines/small:ask", b"1 2 3 four!", b"these are no lines of numbers"),
        ("/lines/large:ask", b"1 2 3 4", b"there is no model 'large'; there are: small"),
        ("/lines/small:ask", b"1" * 5_000_000, b"the body has more than 1000000 bytes; send fewer rows at once"),
    ],
)
async def test_errors_have_the_form_of_the_protocol(models: Path, path: str, body: bytes, detail: bytes) -> None:
    options = Settings(models=models, max_body_bytes=1_000_000)
    for answer in await responses(options, post(body, path)):
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer[:100]
        assert answer.removesuffix(b"<closed>").endswith(b"<id>: " + detail)


@pytest.mark.anyio
async def test_the_error_for_an_unknown_path_below_it_has_its_own_form(models: Path) -> None:
    requests = (f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode() for path in ("/lines/a/b", "/line"))
    (below, _), (beside, _) = [await responses(Settings(models=models), request) for request in requests]
    assert below.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"<id>: GET /lines/a/b: not found" in below
    assert beside.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert b"application/problem+json" in beside


def test_it_is_documented(models: Path) -> None:
    service = app.build(Settings(models=models), None, metrics.alone(), [LinesProtocol()])
    paths = service.app.openapi()["paths"]
    operation = paths["/lines/{name}:ask"]["post"]
    assert operation["requestBody"]["content"]["text/plain"]["schema"] == {"description": "rows of 4 values"}
    assert [each["name"] for each in operation["parameters"]] == ["name", "x-request-id", "x-request-timeout-s"]
    assert paths["/lines/{name}"]["get"]["summary"] == "Width"
    assert {"/predict", "/models"} < set(paths)


def test_a_path_belongs_to_one_protocol() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        RouteTable([LinesProtocol(), NativeProtocol(1000), LinesProtocol()])
    assert str(caught.value) == "two protocols have the same path: /lines/{name}:ask, /lines/{name}"
