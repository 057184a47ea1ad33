"""CUDA requested but not available, with the GPU build of ONNX Runtime.

The wheel is installed without the CUDA libraries (2 GB more), so CUDA cannot start on any machine.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.service.running import Running, refused

ROOT = Path(__file__).parents[3]
REASON = (
    "CUDA does not start: libcublasLt.so.13: cannot open shared object file: No such file or directory; "
    "check that nvidia-smi lists a GPU here, that its driver supports CUDA 13 and that mlp-serving[gpu] brought the "
    "CUDA and cuDNN libraries, or start with --provider cpu"
)

# The first run downloads 255 MB.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def gpu_build() -> dict[str, str]:
    """Environment variables that put onnxruntime-gpu before the CPU build; installed once per pinned version."""
    (pinned,) = re.findall(r"^onnxruntime-gpu==.+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    folder = ROOT / ".venv-cuda-test"
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != pinned:
        shutil.rmtree(folder, ignore_errors=True)
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--target", folder, pinned.partition(";")[0]], cwd=ROOT, check=True)
        stamp.write_text(pinned)
    return {"PYTHONPATH": str(folder)}


def test_missing_cuda_that_was_requested_is_one_error_message(gpu_build: dict[str, str], models: Path) -> None:
    assert refused("--models", str(models), "--provider", "cuda", **gpu_build) == REASON


def test_auto_falls_back_to_the_cpu_and_reports_it(gpu_build: dict[str, str], models: Path) -> None:
    with Running(models, "--provider", "auto", variables=gpu_build) as server:
        messages = [json.loads(line)["message"] for line in server.log]
        assert f"running on the CPU: {REASON}" in messages
        assert any(re.match(r"loaded small version 1 \(cpu, fp32\)", message) for message in messages)
        assert httpx.get(f"{server.address}/models/small").json()["provider"] == "cpu"
        info = re.findall(r"^mlp_model_info\{(.*)\} 1.0$", httpx.get(f"{server.address}/metrics").text, re.MULTILINE)
        assert info == ['model="small",precision="fp32",provider="cpu",version="1"']
        assert server.metrics()["mlp_gpu_fallback small"] == 1
