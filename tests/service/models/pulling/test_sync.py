"""The sidecar looks again whatever happens, says what changed, and ends at SIGTERM."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from service import artifact
from service.models.command import CommandError
from service.models.pulling import sync
from service.models.pulling.versions import Outcome
from tests.service.models.command_line import start
from tests.service.running import PATIENCE_S


class Ended(Exception):
    """The script is at its end."""


class Script:
    """Answers looks with outcomes and errors, one after another."""

    def __init__(self, *answers: Outcome | Exception) -> None:
        self.answers = [*answers]
        self.slept_s: list[float] = []

    def look(self) -> Outcome:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        if not self.answers:
            raise Ended


def run(script: Any) -> list[str]:
    lines: list[str] = []
    with pytest.raises(Ended):
        sync.run(script, 30, script.sleep, lines.append)
    return lines


def test_each_outcome_and_error_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    away, there, pulled = CommandError("s3://bucket is away"), Outcome(there=2), Outcome(pulled=1, there=1)
    script = Script(away, away, pulled, there, there, away, there, away)
    with caplog.at_level(logging.WARNING):
        lines = run(script)
    assert lines == [str(pulled), str(there), str(there)]
    assert caplog.messages == ["s3://bucket is away; tried again every 30 s"] * 3
    assert script.slept_s == [30] * 8


def test_an_unexpected_error_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    assert run(Script(ZeroDivisionError(), Outcome(there=1))) == [str(Outcome(there=1))]
    assert caplog.messages == ["a look at the source failed; tried again in 30 s"]


def wait_for(path: Path) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_it_copies_what_appears_and_ends_at_sigterm(versions: Path, tmp_path: Path) -> None:
    newest, copy = versions / "small" / "3", tmp_path / "copy"
    shutil.move(newest, tmp_path / "later")
    process = start(
        *("pull", str(versions), "--models", str(copy), "--sync", "--interval-s", "1", "--prune", "--newest", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(copy / "small" / "2")
        shutil.copytree(tmp_path / "later", newest)
        wait_for(copy / "small" / "3")
        assert artifact.read(copy / "small" / "3").manifest.version == 3
        assert process.stdout is not None
        while process.stdout.readline() != "1 pulled, 0 already there, 0 refused, 1 deleted\n":
            pass
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert artifact.list_versions(copy / "small").names == ("3",)
