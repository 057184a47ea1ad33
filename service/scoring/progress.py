"""One line on stderr: rows so far, rows a second, time left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TextIO

_TERMINAL_S: Final = 0.5
_LOG_S: Final = 30.0
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """Shows how far a run is, in place on a terminal, else as a line every half minute; nothing without a ``stream``.

    ``total`` is the amount of the whole input, in the unit that `add` gets; None if it is not known. ``rows`` are those
    of this run.
    """

    def __init__(self, stream: TextIO | None, total: int | None, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._total = total
        self._clock = clock
        self._in_place = stream is not None and stream.isatty()
        self._began_s = self._shown_s = clock()
        self._amount = self._before = 0
        self.rows = 0

    def skip(self, amount: int) -> None:
        """Count what an earlier run has done."""
        self._before = amount

    def add(self, amount: int, rows: int) -> None:
        """Count a chunk."""
        self._amount += amount
        self.rows += rows
        now = self._clock()
        if self._stream is not None and now - self._shown_s >= (_TERMINAL_S if self._in_place else _LOG_S):
            self._shown_s = now
            self._write(f"{_CLEAR}{self._line(now)}" if self._in_place else f"{self._line(now)}\n")

    def close(self) -> None:
        """Clear the line."""
        if self._in_place:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        """Write to the stream; that its reader is gone ends the progress, and not the run."""
        try:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except OSError:
            self._stream = None

    def _line(self, now: float) -> str:
        line = f"{self.rows:,} rows, {self.rows / max(now - self._began_s, 1e-9):,.0f} rows/s"
        if not self._total or not self._amount:
            return line
        left_s = (now - self._began_s) / self._amount * max(self._total - self._before - self._amount, 0)
        share = min((self._before + self._amount) / self._total, 1)
        return f"{line}, {share:.0%}, {duration(left_s)} left"


def duration(seconds: float) -> str:
    """``seconds`` for people: 12 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
