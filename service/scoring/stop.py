"""SIGINT and SIGTERM: the first ends a run between two chunks, and a second one ends the process at once.

A handler that raises could leave a C library, or a file that is being renamed, at any point. This one only notes the
signal. The module imports next to nothing, so that the handler is in place before the imports that take long.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """A signal ended the run. ``status`` is the exit status that tells which."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = 128 + number


class Stop:
    """Whether the run should end."""

    def __init__(self) -> None:
        self._noted: int | None = None

    def install(self) -> None:
        """Handle the signals from here on, apart from those that the parent ignores, as ``nohup`` does."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.note)

    def note(self, number: int, _frame: FrameType | None = None) -> None:
        """Note signal ``number``; the next one has its default effect."""
        self._noted = number
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def check(self) -> None:
        """Raise `Stopped` if there was a signal."""
        if self._noted is not None:
            raise Stopped(self._noted)
