"""What is shown of a run, by a clock of the test."""

from __future__ import annotations

import io

import pytest

from service.scoring.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def shown(stream: io.StringIO | None, total: int | None, *, skip: int = 0) -> str:
    """After two chunks of 1,000 rows, 60 s each."""
    now = [0.0]
    progress = Progress(stream, total, lambda: now[0])
    progress.skip(skip)
    for _ in range(2):
        now[0] += 60
        progress.add(1000, 1000)
    progress.close()
    assert progress.rows == 2000
    return stream.getvalue() if stream is not None else ""


def test_lines_in_a_log() -> None:
    assert shown(io.StringIO(), 10_000) == (
        "1,000 rows, 17 rows/s, 10%, 9 min 0 s left\n2,000 rows, 17 rows/s, 20%, 8 min 0 s left\n"
    )
    assert shown(io.StringIO(), 10_000, skip=5000).endswith("2,000 rows, 17 rows/s, 70%, 3 min 0 s left\n")
    assert shown(io.StringIO(), None) == "1,000 rows, 17 rows/s\n2,000 rows, 17 rows/s\n"


def test_one_line_on_a_terminal() -> None:
    assert shown(Terminal(), None) == "\r\x1b[K1,000 rows, 17 rows/s\r\x1b[K2,000 rows, 17 rows/s\r\x1b[K"


def test_no_stream_and_one_that_is_gone() -> None:
    assert shown(None, 10) == ""
    assert shown(Gone(), 10) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12, "12 s"), (59.7, "1 min 0 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
