"""What is called a wrong end of a training run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks.interrupts import SENTENCE, Ended, faults

SENT = [signal.SIGINT]


def test_an_interrupted_run_that_left_nothing_is_right(tmp_path: Path) -> None:
    assert faults(Ended(130, f"digits: …\n\x1b[?25l\x1b[?25h^C{SENTENCE}\r\n", tmp_path), SENT) == []
    assert faults(Ended(143, f"{SENTENCE}\n", tmp_path), [signal.SIGINT, signal.SIGTERM]) == []


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (None, f"{SENTENCE}\n", "status None"),
        (143, f"{SENTENCE}\n", "status 143"),
        (130, f"{SENTENCE}\n{SENTENCE}\n", "the last line is not that it was interrupted"),
        (130, f"{SENTENCE}\nmore", "the last line is not that it was interrupted"),
        (130, f"Traceback\n{SENTENCE}\n", "'Traceback' was said"),
        (130, f"\x1b[?25h\x1b[?25l{SENTENCE}\n", "the terminal's cursor is hidden"),
        (0, "published models/x/1", "status 0, and the versions are []"),
    ],
)
def test_whatever_is_wrong_is_named(status: int | None, said: str, fault: str, tmp_path: Path) -> None:
    assert faults(Ended(status, said, tmp_path), SENT) == [fault]


def test_what_was_left_behind_is_named(tmp_path: Path) -> None:
    (tmp_path / ".publishing-1").mkdir()
    (tmp_path / "x" / "1").mkdir(parents=True)
    assert faults(Ended(130, f"{SENTENCE}\n", tmp_path), SENT) == [
        f"status 130, and the versions are {[tmp_path / 'x' / '1']}",
        "left behind: ['.publishing-1']",
    ]
