"""The browser, a page in it, and a server with models of images and of tables."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import Watched, chromium, closing
from tests.service.drifting import publish_with_reference
from tests.service.published import TABLE, publish
from tests.service.running import Running

ROOT = Path(__file__).parents[2]
# Whoever makes a model chooses its labels: a page must not take them for HTML.
HOSTILE = ('<img src="x" onerror="alert(1)">', "</p><script>alert(2)</script>", "${3}&amp;")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed after each file, as tests of other files run event loops of their own."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`fashion-mnist/1`, which is bundled; two versions of `table`; `rents`, a regression; `hostile`."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "models" / "fashion-mnist", folder / "fashion-mnist")
    publish_with_reference(folder, "table", 1)
    publish_with_reference(folder, "table", 2, seed=1)
    publish(folder, "rents", features=TABLE, targets=("rent",))
    publish(folder, "hostile", labels=HOSTILE)
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Running]:
    """Serves `fashion-mnist` by default."""
    with Running(models, "--model", "fashion-mnist") as running:
        yield running


@pytest.fixture(scope="module")
def watched(browser: Browser, server: Running) -> Iterator[Watched]:
    """What the pages of a file share, as tabs do: a new one for each test takes a second."""
    context = Watched(browser, server.address)
    yield context
    context.close()


@pytest.fixture
def page(watched: Watched) -> Iterator[Page]:
    """A new page. At the end nothing must have gone wrong in it."""
    page = watched.page()
    yield page
    with closing():
        page.close()
    problems = [*watched.problems]
    watched.problems.clear()
    assert problems == []
