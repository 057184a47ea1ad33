"""CUDA asked for and not to be had, with the GPU build of ONNX Runtime: in an environment of its own, as on a server.

The wheel is installed without the CUDA libraries (2 GB more), so it cannot run, whatever machine the test is on.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.service.published import publish
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
def gpu_python() -> Path:
    """The interpreter of an environment with onnxruntime-gpu, made anew when what it is made from changes."""
    environment = ROOT / ".venv-cuda-test"
    made_from = hashlib.sha256((ROOT / "constraints.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes())
    stamp = environment / "made-from"
    python = environment / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != made_from.hexdigest():
        shutil.rmtree(environment, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*install, "--constraint", "constraints.txt", "--editable", ".", "onnxruntime-gpu"], cwd=ROOT, check=True
        )
        stamp.write_text(made_from.hexdigest())
    return python


@pytest.fixture
def models(tmp_path: Path) -> Path:
    publish(tmp_path / "models")
    return tmp_path / "models"


def test_cuda_that_is_requested_and_missing_is_refused_in_one_sentence(gpu_python: Path, models: Path) -> None:
    assert refused("--models", str(models), "--provider", "cuda", python=gpu_python) == REASON


def test_auto_falls_back_to_the_cpu_and_reports_it(gpu_python: Path, models: Path) -> None:
    with Running(models, "--provider", "auto", python=gpu_python) as server:
        messages = [json.loads(line)["message"] for line in server.said]
        assert f"running on the CPU: {REASON}" in messages
        assert any(re.match(r"serving small version 1 \(cpu, fp32\)", message) for message in messages)
        assert httpx.get(f"{server.address}/models/small").json()["provider"] == "cpu"
        info = re.findall(r"^mlp_model_info\{(.*)\} 1.0$", httpx.get(f"{server.address}/metrics").text, re.MULTILINE)
        assert info == ['model="small",precision="fp32",provider="cpu",version="1"']
        assert server.metrics()["mlp_gpu_fallback small"] == 1
