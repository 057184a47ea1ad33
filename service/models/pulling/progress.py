"""How much of a large version has come: in place on a terminal, else a line every half minute."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from service.models import table

_TERMINAL_S: Final = 0.5
_LOG_S: Final = 30.0
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """Shows the bytes that came of one version after another; nothing without a ``stream``."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._in_place = stream is not None and stream.isatty()
        self._shown = ""
        self._bytes = 0
        self._said_s = clock()

    def begin(self, shown: str) -> None:
        """Count from zero for the version that is called ``shown``."""
        self._shown, self._bytes, self._said_s = shown, 0, self._clock()

    def add(self, size_bytes: int) -> None:
        """Count a chunk."""
        self._bytes += size_bytes
        now_s = self._clock()
        if now_s - self._said_s >= (_TERMINAL_S if self._in_place else _LOG_S):
            self._said_s = now_s
            line = f"{self._shown}: {table.size_text(self._bytes)}"
            self._write(f"{_CLEAR}{line}" if self._in_place else f"{line}\n")

    def end(self) -> None:
        """Clear the line."""
        if self._in_place:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        with suppress(OSError):  # its reader is gone, or the disk is full: the copy goes on
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
