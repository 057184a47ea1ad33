"""Provenance names the machine, the code and the model of a measurement."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmarks import provenance


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for folder in ("service", "training", "benchmarks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text("")
    for arguments in (["init", "--quiet"], ["add", "."], [*identity(), "commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def identity() -> list[str]:
    return ["-c", "user.name=x", "-c", "user.email=x@localhost"]


def head(repository: Path) -> str:
    return subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_is_the_one_checked_out(repository: Path) -> None:
    assert provenance.commit(repository) == head(repository)


@pytest.mark.parametrize("folder", ["service", "training", "benchmarks"])
def test_uncommitted_changes_are_marked(repository: Path, folder: str) -> None:
    (repository / folder / "code.py").write_text("changed")
    assert provenance.commit(repository) == f"{head(repository)} with uncommitted changes"


def test_changes_to_unmeasured_files_are_not_marked(repository: Path) -> None:
    (repository / "training.py").write_text("")
    (repository / "benchmarks" / "README.md").write_text("results")
    assert provenance.commit(repository) == head(repository)


def test_machine_versions_and_model_are_recorded(tmp_path: Path) -> None:
    model = tmp_path / "fashion-mnist" / "7"
    model.mkdir(parents=True)
    (model / "model.onnx").write_bytes(b"graph")
    found = provenance.of(model, "make bench")
    assert found["command"] == "make bench"
    assert found["machine"].endswith(f"processors, Linux {platform.release()}")
    assert found["Python"] == platform.python_version()
    for name in ("uvicorn", "onnxruntime", "numpy"):
        assert f"{name} {version(name)}" in found["libraries"]
    digest = hashlib.sha256(b"graph").hexdigest()[:12]
    assert found["model"] == f"fashion-mnist version 7: model.onnx with SHA-256 {digest}"
