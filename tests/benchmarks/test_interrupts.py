"""Faults in how an interrupted training run ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks.interrupts import MESSAGE, Ended, faults
from tests.service.published import publish

SENT = [signal.SIGINT]


def test_an_interrupted_run_that_leaves_nothing_has_no_fault(tmp_path: Path) -> None:
    assert faults(Ended(130, f"digits: …\n\x1b[?25l\x1b[?25h^C{MESSAGE}\r\n", tmp_path), SENT) == []
    assert faults(Ended(143, f"{MESSAGE}\n", tmp_path), [signal.SIGINT, signal.SIGTERM]) == []


@pytest.mark.parametrize(
    ("status", "output", "fault"),
    [
        (None, f"{MESSAGE}\n", "status None"),
        (143, f"{MESSAGE}\n", "status 143"),
        (130, f"{MESSAGE}\n{MESSAGE}\n", "the last line does not say that it was interrupted"),
        (130, f"{MESSAGE}\nmore", "the last line does not say that it was interrupted"),
        (130, f"Traceback\n{MESSAGE}\n", "the output has 'Traceback'"),
        (130, f"\x1b[?25h\x1b[?25l{MESSAGE}\n", "the terminal's cursor is hidden"),
        (0, "published models/x/1", "status 0, and the versions are []"),
    ],
)
def test_each_fault_is_reported(status: int | None, output: str, fault: str, tmp_path: Path) -> None:
    assert faults(Ended(status, output, tmp_path), SENT) == [fault]


def test_a_run_that_publishes_has_no_fault(tmp_path: Path) -> None:
    publish(tmp_path)
    assert faults(Ended(0, "published models/small/1", tmp_path), SENT) == []


def test_files_left_behind_are_reported(tmp_path: Path) -> None:
    (tmp_path / ".publishing-1").mkdir()
    (tmp_path / "x" / "1").mkdir(parents=True)
    (tmp_path / "x" / ".last-version-1").touch()
    assert faults(Ended(130, f"{MESSAGE}\n", tmp_path), SENT) == [
        f"status 130, and the versions are {[tmp_path / 'x' / '1']}",
        "left behind: ['.publishing-1', '.last-version-1']",
    ]
