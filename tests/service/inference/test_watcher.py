"""The models folder is looked at in a thread, and what changed is swapped in on the loop."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service import loading_thread, metrics
from service.errors import NotFound, RequestError
from service.inference.catalog import Catalog
from service.inference.model import Model
from service.inference.reports import Reports
from service.inference.repository import Repository
from service.inference.selection import Selection
from service.inference.session import Outputs
from service.inference.watcher import Watcher
from tests.service.inference.loading import loader
from tests.service.published import publish

ROW = np.ones((1, 4), np.float32)
PATIENCE_S = 30.0

pytestmark = pytest.mark.anyio


class Watched:
    """A watched models folder. ``while_loading`` is called in the thread, before a version is loaded."""

    def __init__(self, models: Path) -> None:
        counted = metrics.alone()
        real = loader(models)
        load = real.load
        self.is_active = True
        self.looks = 0
        self.while_loading: Callable[[], None] = lambda: None
        self.pauses: list[float] = []

        def loading(name: str, version: int, running: Model | None = None) -> Model:
            self.while_loading()
            return load(name, version, running)

        self.catalog = Catalog(real, Selection(), Reports(counted.versions, counted.retention), keep=1)
        self.repository = Repository(self.catalog.start(), None)
        self.catalog.loading = self.repository.loading
        real.load = loading  # type: ignore[method-assign]
        self.watcher = Watcher(
            self.catalog,
            self.repository,
            interval_s=7.0,
            active=lambda: self.is_active,
            looked=self._looked,
            sleep=self._sleep,
        )

    def _looked(self) -> None:
        self.looks += 1

    async def _sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        await asyncio.sleep(0)

    def version(self) -> int:
        return self.repository.find(None, None).manifest.version


@pytest.fixture
def watched(models: Path) -> Watched:
    return Watched(models)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.001)


async def test_a_new_version_is_swapped_in_and_the_old_one_is_closed(watched: Watched, models: Path) -> None:
    old = watched.repository.find(None, None)
    publish(models, version=2)
    await watched.watcher.look()
    assert watched.version() == 2
    await until(lambda: old.batcher._closed)
    assert watched.repository.idle()
    assert watched.looks == 1
    watched.repository.close()


async def test_it_looks_again_and_again(watched: Watched, models: Path) -> None:
    running = asyncio.create_task(watched.watcher.run())
    publish(models, version=2)
    await until(lambda: watched.version() == 2)
    publish(models, version=3)
    await until(lambda: watched.version() == 3)
    running.cancel()
    assert set(watched.pauses) == {7.0}
    await watched.watcher.stop(PATIENCE_S)
    watched.repository.close()


async def test_requests_are_answered_while_a_version_is_loaded(watched: Watched, models: Path) -> None:
    may_end = threading.Event()
    watched.while_loading = lambda: may_end.wait(PATIENCE_S) and None
    publish(models, version=2)
    look = asyncio.create_task(watched.watcher.look())
    await until(lambda: watched.repository.statuses("small")[0].state == "loading")
    answers: list[Outputs | RequestError] = []
    model = watched.repository.find(None, None)
    assert model.manifest.version == 1
    model.batcher.submit(ROW, 1e9, answers.append)
    await until(lambda: bool(answers))
    assert isinstance(answers[0], Outputs)
    may_end.set()
    await look
    assert [(each.version, each.state) for each in watched.repository.statuses("small")] == [
        (2, "serving"),
        (1, "available"),
    ]
    watched.repository.close()


async def test_loading_has_the_lowest_priority_and_gives_way_often(watched: Watched, models: Path) -> None:
    found: list[tuple[int, float]] = []
    before = os.getpriority(os.PRIO_PROCESS, 0), sys.getswitchinterval()
    watched.while_loading = lambda: found.append((os.getpriority(os.PRIO_PROCESS, 0), sys.getswitchinterval()))
    publish(models, version=2)
    await watched.watcher.look()
    assert found == [(19, pytest.approx(1e-4))]
    assert (os.getpriority(os.PRIO_PROCESS, 0), sys.getswitchinterval()) == before
    watched.repository.close()


async def test_a_second_look_does_nothing_while_the_first_one_loads(watched: Watched, models: Path) -> None:
    may_end = threading.Event()
    watched.while_loading = lambda: may_end.wait(PATIENCE_S) and None
    publish(models, version=2)
    look = asyncio.create_task(watched.watcher.look())
    await until(lambda: watched.repository.statuses("small")[0].state == "loading")
    await watched.watcher.look()
    assert watched.looks == 0
    may_end.set()
    await look
    watched.repository.close()


async def test_a_server_that_drains_does_not_look(watched: Watched, models: Path) -> None:
    watched.is_active = False
    publish(models, version=2)
    await watched.watcher.look()
    assert (watched.looks, watched.version()) == (0, 1)
    watched.repository.close()


async def test_a_version_that_was_loaded_while_the_drain_began_is_not_swapped_in(
    watched: Watched, models: Path
) -> None:
    def drain() -> None:
        watched.is_active = False

    watched.while_loading = drain
    publish(models, version=2)
    await watched.watcher.look()
    await asyncio.sleep(0)
    assert watched.version() == 1
    watched.repository.close()


async def test_stopping_waits_for_the_version_that_is_loaded_and_loads_no_other(watched: Watched, models: Path) -> None:
    loads: list[str] = []
    may_end = threading.Event()

    def load() -> None:
        loads.append("one")
        may_end.wait(PATIENCE_S)

    watched.while_loading = load
    publish(models, "a", version=2)
    publish(models, "b", version=2)
    running = asyncio.create_task(watched.watcher.run())
    await until(lambda: bool(loads))
    running.cancel()
    assert not await watched.watcher.stop(0.01)
    assert loading_thread.is_running()
    may_end.set()
    assert await watched.watcher.stop(PATIENCE_S)
    await until(lambda: not loading_thread.is_running())
    assert loads == ["one"]
    with pytest.raises(NotFound):
        watched.repository.find("a", None)
    watched.repository.close()


async def test_an_unexpected_error_does_not_end_the_watch(
    watched: Watched, models: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bool:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched, caplog.at_level(logging.ERROR):
        patched.setattr(watched.catalog, "look", fail)
        await watched.watcher.look()
    assert caplog.messages == ["a look at the models folder failed; the models keep serving"]
    publish(models, version=2)
    await watched.watcher.look()
    assert watched.version() == 2
    watched.repository.close()


async def test_a_model_that_is_gone_is_not_found(watched: Watched, models: Path) -> None:
    publish(models, "other")
    await watched.watcher.look()
    other = watched.repository.find("other", None)
    shutil.rmtree(models / "other")
    await watched.watcher.look()
    with pytest.raises(NotFound, match="there is no model 'other'; there are: small"):
        watched.repository.find("other", None)
    await until(lambda: other.batcher._closed)
    watched.repository.close()
