"""Paths that a platform chooses: they answer like /v1 and /health/ready, and take no path that is in use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from service import app, metrics
from service.errors import StartError
from service.http import page
from service.http.routes import PATTERNS
from service.lifecycle import State
from service.settings import Settings
from tests.service.errors import error_message
from tests.service.http.protocols.application import Application
from tests.service.published import publish

HEALTH, PREDICT = "/v1/endpoints/12/deployedModels/34", "/v1/endpoints/12/deployedModels/34:predict"
BODY = {"instances": [[1, 2, 3, 4], [0, 0, 0, 0]], "parameters": {"confidence": 0.5}}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path)
    return tmp_path


def refusal(models: Path, **options: str) -> str:
    """The error message of a server that cannot start."""

    async def build() -> None:
        app.build(Settings(models=models, **options), None, metrics.alone())

    return error_message(StartError, asyncio.run, build())


@pytest.mark.parametrize(("health", "predict"), [(HEALTH, PREDICT), ("/isalive", "/score/"), ("/a/b", "/A(1)")])
def test_chosen_paths_answer(models: Path, health: str, predict: str) -> None:
    application = Application(models, health_route=health, predict_route=predict)
    expected = application.post("/v1/models/small:predict", BODY).json()
    assert len(expected["predictions"]) == 2
    assert application.post(predict, BODY).json() == expected
    fast, slow = application.on_both_paths(predict, json.dumps(BODY).encode())
    assert fast == slow
    assert fast.startswith(b"HTTP/1.1 200")
    bad = application.post(predict, {"instances": [[1]]})
    assert (bad.status_code, set(bad.json())) == (400, {"error"})
    assert (application.ask("GET", health).status_code, application.ask("GET", health).json()) == (
        200,
        {"status": "ready"},
    )
    application.service.lifecycle.advance(State.DRAINING)
    assert application.ask("GET", health).status_code == 503
    document = application.ask("GET", "/openapi.json").json()["paths"]
    assert {health, predict} <= document.keys()
    application.close()


@pytest.mark.parametrize(
    ("health", "predict"),
    [
        ("/health", "/predict"),
        ("/ping", "/invocations"),
        ("/health/ready", "/v1/models/small:predict"),
        ("/v1/models/small", "/models/small/predict"),
        ("/", "/models/small/versions/1/predict"),
    ],
)
def test_paths_of_the_server_stay_as_they_are(models: Path, health: str, predict: str) -> None:
    usual = Application(models)
    application = Application(models, health_route=health, predict_route=predict)
    assert application.ask("GET", health).status_code == 200
    assert application.post(predict, BODY).json() == usual.post(predict, BODY).json()
    assert application.post(predict, BODY).status_code == 200
    assert application.ask("GET", "/openapi.json").json() == usual.ask("GET", "/openapi.json").json()
    usual.close()
    application.close()


@pytest.mark.parametrize(
    "path",
    ["predict", "", "//predict", "/a//b", "/a/../b", "/.", "/a b", "/a?b", "/a%20b", "/{name}", "/ä", f"/{'a' * 500}"],
)
@pytest.mark.parametrize("option", ["health", "predict"])
def test_what_is_no_path_is_refused(models: Path, option: str, path: str) -> None:
    message = refusal(models, **{f"{option}_route": path})
    names = f"--{option}-route (MLP_{option.upper()}_ROUTE, AIP_{option.upper()}_ROUTE)"
    assert message == (
        f"{names} is {path!r:.100}, expected a path such as /predict, of at most 500 letters, digits and characters "
        "that need no %"
    )


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ("predict", "/metrics"),
        ("predict", "/models/small"),
        ("predict", "/docs"),
        ("predict", "/docs/x"),
        ("predict", "/ping"),
        ("predict", "/"),
        ("predict", "/v1/models/small"),
        ("health", "/predict"),
        ("health", "/invocations"),
        ("health", "/metrics"),
        ("health", "/models"),
        ("health", "/v2/models/small/infer"),
        ("health", "/version"),
    ],
)
def test_a_path_in_use_is_refused(models: Path, option: str, path: str) -> None:
    message = refusal(models, **{f"{option}_route": path})
    names = f"--{option}-route (MLP_{option.upper()}_ROUTE, AIP_{option.upper()}_ROUTE)"
    assert message == f"{names} is {path!r}, which the server uses for something else; choose another path"


def test_both_may_not_be_the_same(models: Path) -> None:
    message = refusal(models, predict_route="/same", health_route="/same")
    assert message.endswith("are both '/same'; choose two paths")


def test_the_patterns_outside_the_protocols_are_listed(models: Path) -> None:
    application = Application(models)
    table = application.service.fast_path.table
    of_protocols = {route.pattern for route in (*table.routes, *table.resources)}
    found = set(application.ask("GET", "/openapi.json").json()["paths"])
    pages = {"/openapi.json", "/docs", "/docs/{file}", *page.PATTERNS}
    assert found - of_protocols == set(PATTERNS) - pages
    application.close()
