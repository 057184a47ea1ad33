"""What SIGINT and SIGTERM do to a run of the command line: end it at once, at the next safe point, or not any more.

A handler that raises is of no use here: what it raises can come out of an import as another exception, or be swallowed
by a callback from C or a destructor. This one ends the process itself, or takes a note that `check` raises later. It
imports next to nothing, to be in place before what takes seconds to import.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SENTENCE = b"mlp-train: interrupted; nothing was published\n"
_BAR_AWAY = b"\r\x1b[K\x1b[?25h"  # a terminal's codes: clear the line, show the cursor


class _State(Enum):
    AT_ONCE = auto()
    ORDERLY = auto()
    PUBLISHING = auto()
    COMMITTED = auto()


class Interrupts:
    """The states of a run, and what a signal does in each.

    at once (where nothing else is said)   one sentence, and the process ends
    `orderly`                              the first is noted for `check` to raise; a second ends the process at once
    `publishing`                           all are noted, for `commit` to raise
    after `commit`                         nothing, if the rename it is called before succeeds; else as before it

    Until `take` signals are Python's, as they are for who calls training as a library: `check` then never raises.
    """

    def __init__(self) -> None:
        self._state = _State.AT_ONCE
        self._noted: int | None = None

    def take(self) -> None:
        """Take the signals, in the main thread. One that the parent had ignored, as `nohup` does, stays ignored."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._received)

    def check(self) -> None:
        """Raise KeyboardInterrupt where a signal was noted."""
        if self._noted is not None:
            raise KeyboardInterrupt

    @contextmanager
    def orderly(self) -> Iterator[None]:
        """Inside there is something to clean up: a bar at a terminal, temporary files. Raises as `check`."""
        with self._within(_State.ORDERLY):
            yield

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Inside a version is written, that is whole or not at all. Raises as `check`."""
        with self._within(_State.PUBLISHING):
            yield

    def commit(self) -> None:
        """From here on the run is not interrupted any more, unless it has to commit again. Raises as `check`."""
        self._state = _State.COMMITTED
        self.check()

    def end(self, number: int | None = None) -> NoReturn:
        """Say that nothing was published, and end the process with the status of signal ``number`` or the noted one."""
        at_bar = self._state is _State.ORDERLY and os.isatty(2)
        for each in _SIGNALS:  # should nobody read what is written
            signal.signal(each, signal.SIG_DFL)
        with suppress(OSError):
            os.write(2, _BAR_AWAY * at_bar + _SENTENCE)
        os._exit(128 + (number or self._noted or signal.SIGINT))

    @contextmanager
    def _within(self, state: _State) -> Iterator[None]:
        self._state = state
        try:
            yield
        finally:
            if self._state is state:
                self._state = _State.AT_ONCE
        if self._state is _State.AT_ONCE:
            self.check()

    def _received(self, number: int, _frame: FrameType | None) -> None:
        first = self._noted is None
        if self._state is _State.AT_ONCE or (self._state is _State.ORDERLY and not first):
            self.end(number)
        if first:
            self._noted = number
