"""The clients that people have, against a real server: tritonclient and KServe's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import client_environment
from tests.service.running import Running

MODELS = Path(__file__).parents[4] / "models"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with Running(MODELS) as running:
        yield running


@pytest.fixture(scope="module")
def expectations(server: Running, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of rows, and what our own protocol answers."""
    pixels = np.random.default_rng(0).integers(0, 100, (3, 28, 28)).tolist()
    pixels[0] = np.array(json.loads((MODELS / "fashion-mnist/1/example.json").read_text())["inputs"]).reshape(28, 28)
    rows = [np.array(each).tolist() for each in pixels]
    with server.client() as client:
        answer = client.post("/predict", json={"inputs": rows}).json()
    document = {"rows": rows, "labels": answer["predictions"]} | answer
    file = tmp_path_factory.mktemp("expected") / "expected.json"
    file.write_text(json.dumps(document))
    return str(file)


@pytest.mark.timeout(600)  # the first run installs the client
def test_tritonclient(server: Running, expectations: str) -> None:
    client_environment.run("triton_http.py", server.address.removeprefix("http://"), expectations)


@pytest.mark.timeout(600)
def test_kserve(server: Running, expectations: str) -> None:
    client_environment.run("kserve_rest.py", server.address, expectations)
