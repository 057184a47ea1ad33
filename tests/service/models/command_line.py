"""mlp-models in this process, or in its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from service.models.__main__ import main
from tests.service.running import PATIENCE_S, environment


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class CommandLine:
    """Runs commands on one models folder in this process."""

    def __init__(self, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.models = models
        self._capsys = capsys

    def __call__(self, command: str, *arguments: str) -> Ended:
        status = main([command, *arguments, "--models", str(self.models)])
        return Ended(status, *self._capsys.readouterr())

    def fails(self, command: str, *arguments: str) -> str:
        """The one-sentence error of a command that changes and prints nothing."""
        before = self._files()
        ended = self(command, *arguments)
        assert (ended.status, ended.out) == (1, ""), ended
        assert self._files() == before
        assert ended.err.startswith("mlp-models: ")
        return ended.err.removeprefix("mlp-models: ").rstrip("\n")

    def _files(self) -> set[Path]:
        return {path for path in self.models.rglob("*") if path.name != ".lock"}


def start(*arguments: str, **pipes: int) -> subprocess.Popen[str]:
    """A command in its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", "service.models", *arguments], env=environment(), text=True, encoding="utf-8", **pipes
    )


def ended(process: subprocess.Popen[str]) -> Ended:
    """How a started command ended."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, out, err)
