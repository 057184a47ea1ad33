"""schemathesis finds no server error and nothing undocumented, for both kinds of models and on both paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import client_environment
from tests.service.image_models import publish_images
from tests.service.published import TABLE, publish
from tests.service.running import Running


@pytest.mark.timeout(600)  # the first run installs it
@pytest.mark.parametrize("fast", ["true", "false"], ids=["fast path", "FastAPI"])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_the_document_is_true(tmp_path: Path, kind: str, fast: str) -> None:
    if kind == "table":
        publish(tmp_path, "people", features=TABLE)
    else:
        publish_images(tmp_path, "pictures", (4, 4))
    with Running(tmp_path, "--fast-path", fast) as server:
        client_environment.run("schemathesis_run.py", server.address)
        assert server.metrics()["mlp_ready"] == 1
