"""What results were measured on: machine, versions, model, commit, time."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from service.http.codecs import regular_json

ROOT: Final = Path(__file__).parents[1]
MODEL: Final = ROOT / "models/fashion-mnist/1"
LIBRARIES: Final = ("uvicorn", "uvloop", "httptools", "fastapi", "onnxruntime", "numpy", "orjson", "pysimdjson")
# The paths that results depend on.
MEASURED: Final = (
    "service",
    "training",
    "benchmarks",
    "constraints.txt",
    ":!benchmarks/results",
    ":!benchmarks/README.md",
)
DIRTY: Final = " with uncommitted changes"


def of(model: Path, command: str) -> dict[str, str]:
    """The provenance of results measured now by ``command`` with the model in folder ``model``."""
    graphs = ", ".join(_digest(file) for file in sorted(model.glob("*.onnx")))
    return of_run(command, ", ".join(versions(LIBRARIES))) | {
        "Python": platform.python_version(),
        "numbers in JSON": f"read by {regular_json.READ_BY}",
        "model": f"{model.parent.name} version {model.name}: {graphs}",
    }


def of_run(command: str, libraries: str) -> dict[str, str]:
    """The provenance of results measured now by ``command``, with these ``libraries``."""
    return {
        "command": command,
        "time": now(),
        "commit": commit(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} processors, Linux {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f} processes over the minute before",
        "libraries": libraries,
    }


def now() -> str:
    """The time, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def commit(root: Path = ROOT) -> str:
    """The commit, marked if any of `MEASURED` has uncommitted changes."""
    changed = _git(root, "status", "--porcelain", "--", *MEASURED)
    return _git(root, "rev-parse", "HEAD") + (DIRTY if changed else "")


def processor() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), platform.machine())


def versions(names: Iterable[str]) -> Iterator[str]:
    """The libraries of these ``names`` that are installed, with their versions."""
    for name in names:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _digest(file: Path) -> str:
    return f"{file.name} with SHA-256 {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, cwd=root).stdout.strip()
