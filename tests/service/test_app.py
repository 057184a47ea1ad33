"""The whole application in this process, for any ASGI server."""

from __future__ import annotations

import gc
from pathlib import Path

import httpx
import pytest

from service import app, metrics
from service.errors import ModelRefused, StartError
from service.settings import Settings


async def predict(application: app.FastAPI, body: bytes) -> httpx.Response:
    """The response of an ASGI server other than ours."""
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test") as client,
    ):
        return await client.post("/predict", content=body)


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.anyio
async def test_any_asgi_server_can_serve_it(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLP_MODELS", str(models))
    monkeypatch.setenv("MLP_LOG_LEVEL", "error")
    answer = await predict(app.create_app(), b'{"inputs": [[1, 2, 3, 4]]}')
    assert answer.status_code == 200
    assert answer.headers["x-request-id"]


def test_an_unknown_variable_is_rejected_by_create_app(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLP_MODELS", str(models))
    monkeypatch.setenv("MLP_PROT", "80")
    with pytest.raises(StartError, match=r"unknown environment variable MLP_PROT: did you mean MLP_PORT\?"):
        app.create_app()


@pytest.mark.anyio
async def test_a_request_that_can_never_fit_the_queue_gets_422(models: Path) -> None:
    """429 would make its client retry for ever."""
    options = Settings(models=models, max_queue_rows=2, max_request_rows=10)
    answer = await predict(
        app.build(options, None, metrics.alone()).app, b'{"inputs": [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]}'
    )
    assert answer.status_code == 422
    assert answer.json()["detail"] == "there are more than 2 rows, the most that are accepted; send several requests"


def test_a_refused_model_is_in_the_metrics(models: Path) -> None:
    (models / "small" / "1" / "model.onnx").write_bytes(b"altered")
    server_metrics = metrics.alone()
    with pytest.raises(ModelRefused):
        app.build(Settings(models=models), None, server_metrics)
    assert b'mlp_model_load_failures_total{model="small"} 1.0' in server_metrics.exposition()


@pytest.mark.anyio
async def test_objects_made_at_start_are_exempt_from_garbage_collection(models: Path) -> None:
    before = gc.get_freeze_count()
    try:
        answer = await predict(app.build(Settings(models=models), None, metrics.alone()).app, b"{}")
        assert answer.status_code == 422
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
