"""A proxy's path prefix: paths with it and without are answered alike, on the fast path and through FastAPI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import app, metrics
from service.errors import StartError
from service.settings import Settings
from tests.service.http.protocols.application import Application

PREFIX = "/ml/flats"
BODY = json.dumps({"inputs": [[0.1, 0.2, 0.3, 0.4]]}).encode()


@pytest.fixture(scope="module")
def application(shared_models: Path) -> Iterator[Application]:
    running = Application(shared_models, root_path=PREFIX)
    yield running
    running.close()


@pytest.mark.parametrize("path", ["/predict", "/predict?top_k=1", "/models/small/predict", "/v1/models/small:predict"])
def test_predictions(application: Application, path: str) -> None:
    stripped = application.on_both_paths(path, BODY)
    forwarded = application.on_both_paths(PREFIX + path, BODY)
    assert stripped[0].startswith(b"HTTP/1.1 200") or b"predictions" in stripped[0] or b"error" in stripped[0]
    assert {*stripped, *forwarded} == {stripped[0]}


@pytest.mark.parametrize("path", ["/", "/docs", "/models", "/health/ready", "/v2/health/ready", "/page/main.js", "/no"])
def test_other_paths(application: Application, path: str) -> None:
    answers = [application.ask("GET", prefix + path) for prefix in ("", PREFIX)]
    assert answers[0].status_code == answers[1].status_code == (404 if path == "/no" else 200)
    if path != "/no":
        assert answers[0].content == answers[1].content


def test_a_path_that_only_begins_like_the_prefix_is_unknown(application: Application) -> None:
    assert application.ask("GET", f"{PREFIX}s/models").status_code == 404
    assert application.post(f"{PREFIX}s/predict", BODY).status_code == 404


def test_errors_have_the_form_of_their_protocol_and_name_the_prefix(application: Application) -> None:
    answer = application.ask("GET", f"{PREFIX}/v2/no")
    hint = f"GET {PREFIX}/docs lists every path and its methods"
    assert answer.json() == {"error": f"GET {PREFIX}/v2/no: not found; {hint}"}


def test_the_prefix_alone_leads_to_the_page(application: Application) -> None:
    """Its links are relative to the folder."""
    answer = application.ask("GET", PREFIX)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{PREFIX}/")
    assert answer.headers["x-request-id"]


def test_openapi_names_the_prefix_as_its_server(application: Application) -> None:
    document = application.ask("GET", f"{PREFIX}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]
    assert "/predict" in document["paths"]


@pytest.mark.parametrize(("prefix", "path"), [("/v1", "/v1/"), ("/models/x", "/models"), ("/docs", "/docs")])
def test_a_prefix_that_is_a_path_of_the_server_is_refused(shared_models: Path, prefix: str, path: str) -> None:
    """A proxy may strip it or not, and both would have a meaning."""

    async def build() -> None:
        app.build(Settings(models=shared_models, root_path=prefix), None, metrics.alone())

    with pytest.raises(StartError) as caught:
        asyncio.run(build())
    message = str(caught.value)
    assert message.startswith(f"--root-path (MLP_ROOT_PATH) is {prefix!r}, and the server has {path}")
    assert message.endswith("itself; choose another prefix")
