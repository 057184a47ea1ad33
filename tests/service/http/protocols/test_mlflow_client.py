"""MLflow's scoring-server client against a real server."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import client_environment
from tests.service.published import TABLE, as_json, publish, values_of
from tests.service.running import Running


@pytest.mark.timeout(600)  # the first run installs the client
def test_mlflow(tmp_path: Path) -> None:
    publish(tmp_path / "models", features=TABLE)
    rows = [as_json(TABLE, row) for row in values_of(TABLE, 4, 2)]
    with Running(tmp_path / "models") as server:
        with server.client() as client:
            answer = client.post("/predict", json={"inputs": rows}).json()
        file = tmp_path / "expected.json"
        file.write_text(json.dumps({"rows": rows} | answer | {"version": version("mlp-serving")}))
        client_environment.run("mlflow_scoring.py", "127.0.0.1", str(server.port), str(file))
