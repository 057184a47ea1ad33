"""CUDA asked for and not to be had, with the GPU build of ONNX Runtime: in an environment of its own, as on a server.

The wheel is installed without the CUDA libraries (2 GB more), so it cannot run, whatever machine the test is on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.published import publish

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


def command(python: Path, models: Path, provider: str) -> list[str]:
    return [str(python), "-m", "service", "--models", str(models), "--provider", provider, "--port", "0"]


def own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MLP_")}


@contextmanager
def running(arguments: list[str]) -> Iterator[tuple[str, list[str]]]:
    """A server's address and what it logged until it was ready."""
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=own_environment()) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                found = re.search(r"ready on (http://\S+)", line)
                if found:
                    yield found[1], lines
                    break
            else:
                pytest.fail(f"the server did not start: {lines}")
        finally:
            process.terminate()


def test_cuda_asked_for_and_missing_is_refused_in_one_sentence(gpu_python: Path, models: Path) -> None:
    done = subprocess.run(
        command(gpu_python, models, "cuda"), capture_output=True, text=True, env=own_environment(), check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"mlp-serve: {REASON}\n")


def test_auto_runs_on_the_cpu_and_says_so_wherever_one_looks(gpu_python: Path, models: Path) -> None:
    with running(command(gpu_python, models, "auto")) as (address, lines):
        messages = [json.loads(line)["message"] for line in lines]
        assert f"running on the CPU: {REASON}" in messages
        assert any(re.match(r"serving small version 1 \(cpu, fp32\)", message) for message in messages)
        assert httpx.get(f"{address}/models/small").json()["provider"] == "cpu"
        info = re.findall(r"^mlp_model_info\{(.*)\} 1.0$", httpx.get(f"{address}/metrics").text, re.MULTILINE)
        assert info == ['model="small",precision="fp32",provider="cpu",version="1"']
