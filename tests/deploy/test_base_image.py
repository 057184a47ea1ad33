"""A release is built on a base image with a digest only, and `make image-digest` writes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.rendered import ROOT

DIGEST = "sha256:" + "0a" * 32
# Prints what it is asked to build, and the digest of what it pulled.
ENGINE = f"""#!/bin/sh
case "$1 $2" in
"build "*) echo "$@" ;;
"pull --quiet") test "$3" = python:3.11 ;;
"image inspect") echo "docker.io/library/python@{DIGEST}" ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What `make image` reads, and a container engine that does nothing."""
    for name in ("Makefile", "Dockerfile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    engine = tmp_path / "engine"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    commit = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "a",
    ]
    subprocess.run(commit, cwd=tmp_path, check=True)
    return tmp_path


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", "RUNTIME=cpu", f"CONTAINER={project / 'engine'}", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("base", ["python:3.11", "python:3.11@sha256:12", f"python@{DIGEST}x"])
def test_a_release_needs_a_digest(project: Path, base: str) -> None:
    done = make(project, "image", "RELEASE=1", f"BASE_IMAGE={base}")
    assert done.returncode == 2
    assert f"BASE_IMAGE is '{base}', expected name:tag@sha256:… for a release; run make image-digest" in done.stderr
    assert done.stdout == ""
    assert "build " in make(project, "image", f"BASE_IMAGE={base}").stdout


def test_the_digest_goes_into_the_dockerfile_and_the_release(project: Path) -> None:
    pinned = f"python:3.11@{DIGEST}"
    for base in ("python:3.11", f"python:3.11@sha256:{'1b' * 32}"):  # at first, and an update
        done = make(project, "image-digest", f"BASE_IMAGE={base}")
        assert (done.returncode, done.stdout) == (0, f"ARG BASE_IMAGE={pinned}\n"), done.stderr
    built = make(project, "image", "RELEASE=1")
    assert f"--build-arg BASE_IMAGE={pinned} " in built.stdout
    assert (project / "Dockerfile").read_text().count(DIGEST) == 1


def test_without_a_registry_the_dockerfile_is_left_alone(project: Path) -> None:
    done = make(project, "image-digest", "BASE_IMAGE=python:9")
    assert done.returncode == 2
    assert "The digest of 'python:9' is not known" in done.stderr
    assert (project / "Dockerfile").read_text() == (ROOT / "Dockerfile").read_text()
