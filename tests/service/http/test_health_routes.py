"""The probes' responses, while other workers and the supervisor respond and while they do not."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from service import app, metrics
from service.health import Health
from service.heartbeats import SUPERVISOR, Heartbeats
from service.lifecycle import State
from service.settings import Settings
from tests.service.test_heartbeats import Clock, wait

pytestmark = pytest.mark.anyio


async def test_probes_answer_for_all_workers(models: Path) -> None:
    """1. Starting. 2. Ready. 3. Another worker hangs. 4. It is not replaced. 5. It is. 6. The supervisor hangs."""
    clock = Clock()
    heartbeats = Heartbeats(2, clock)
    for index in (1, SUPERVISOR):
        heartbeats.enter(index, State.READY)
    service = app.build(Settings(models=models), None, metrics.alone(heartbeats), health=Health(heartbeats, 0))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://test") as client:

        async def probe() -> list[str]:
            answers = [await client.get(f"/health/{name}") for name in ("startup", "ready", "live")]
            assert all((answer.status_code == 503) == ("reason" in answer.json()) for answer in answers[2:])
            for path in ("/ping", "/health", "/v2/health/ready", "/v2/models/small/ready", "/v1/models/small"):
                other = await client.get(path)
                assert other.status_code == answers[1].status_code, path
                assert path not in {"/ping", "/health"} or other.json() == answers[1].json()
            return [f"{answer.status_code} {json.loads(answer.text)['status']}" for answer in answers]

        assert await probe() == ["503 starting", "503 starting", "200 alive"]
        async with service.app.router.lifespan_context(service.app):
            assert await probe() == ["200 ready", "200 ready", "200 alive"]
            wait(heartbeats, clock, 4, 0, SUPERVISOR)
            assert await probe() == ["200 ready", "503 hanging", "200 alive"]
            assert b"\nmlp_ready 0.0\n" in (await client.get("/metrics")).content
            wait(heartbeats, clock, 17, 0, SUPERVISOR)
            assert await probe() == ["200 ready", "503 hanging", "503 lost"]
            heartbeats.enter(1, State.READY)
            assert await probe() == ["200 ready", "200 ready", "200 alive"]
            wait(heartbeats, clock, 21, 0, 1)
            assert await probe() == ["200 ready", "200 ready", "503 lost"]
