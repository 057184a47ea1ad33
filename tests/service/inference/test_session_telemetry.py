"""ONNX Runtime's telemetry: off in the server. Where it is on, it leaves a device's id in the home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("module", "leaves"),
    [
        pytest.param("onnxruntime", True, id="on by default"),
        pytest.param("service.inference.session", False, id="off in the server"),
    ],
)
def test_telemetry(tmp_path: Path, module: str, leaves: bool) -> None:
    # These variables turn it off.
    off = {"CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {name: value for name, value in os.environ.items() if name not in off}
    # Nothing leaves the machine: the proxy is a port where nobody listens.
    environment |= {"HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", f"import {module}"], env=environment, check=True)
    assert bool(list(tmp_path.rglob("deviceid"))) == leaves
