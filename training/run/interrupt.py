"""Handling of SIGINT and SIGTERM: a run ends at once, at the next safe point, or not any more.

A handler that raises is not reliable: its exception can leave an import as another one, or be swallowed by a C callback
or a destructor. This one ends the process itself, or notes the signal for `check` to raise later. The module imports
next to nothing, so that it is in place before the imports that take seconds.
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
_CLEAR_BAR = b"\r\x1b[K\x1b[?25h"  # terminal codes: clear the line, show the cursor


class _State(Enum):
    AT_ONCE = auto()
    ORDERLY = auto()
    PUBLISHING = auto()
    COMMITTED = auto()


class Interrupts:
    """The states of a run, and what a signal does in each.

    AT_ONCE (the default)         prints one sentence and ends the process
    ORDERLY (in `orderly`)        the first is noted for `check` to raise; a second ends the process at once
    PUBLISHING (in `publishing`)  is noted for `commit` to raise
    COMMITTED (after `commit`)    nothing, unless the rename fails and `commit` is called again

    Until `install`, Python handles signals, as for callers of training as a library; `check` then never raises.
    ``program`` begins the sentence that is printed.
    """

    def __init__(self, program: str = "mlp-train") -> None:
        self._message = f"{program}: interrupted; nothing was published\n".encode()
        self._state = _State.AT_ONCE
        self._noted: int | None = None

    def install(self) -> None:
        """Install the handlers, from the main thread. A signal that the parent ignores, as `nohup` does, stays so."""
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal was noted."""
        if self._noted is not None:
            raise KeyboardInterrupt

    @contextmanager
    def orderly(self) -> Iterator[None]:
        """Enter while there is something to clean up, such as a progress bar or temporary files. Raises as `check`.

        Contexts nest: at the end of one, the state is that of the one around it.
        """
        with self._within(_State.ORDERLY):
            yield

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Enter while a version is written, which appears complete or not at all. Raises as `check`."""
        with self._within(_State.PUBLISHING):
            yield

    def commit(self) -> None:
        """Ignore signals from here on, unless the run has to commit again. Raises as `check`."""
        self._state = _State.COMMITTED
        self.check()

    def end(self, number: int | None = None) -> NoReturn:
        """Print that nothing was published and exit with the status of signal ``number``, by default the noted one."""
        has_bar = self._state is _State.ORDERLY and os.isatty(2)
        for each in _SIGNALS:  # in case the write below blocks
            signal.signal(each, signal.SIG_DFL)
        with suppress(OSError):
            stderr = os.dup(2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # so that no other thread, as the bar's, has the last word
            os.write(stderr, _CLEAR_BAR * has_bar + self._message)
        os._exit(128 + (number or self._noted or signal.SIGINT))

    @contextmanager
    def _within(self, state: _State) -> Iterator[None]:
        before, self._state = self._state, state
        try:
            yield
        finally:
            if self._state is state:
                self._state = before
        if self._state is _State.AT_ONCE:
            self.check()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        first = self._noted is None
        if self._state is _State.AT_ONCE or (self._state is _State.ORDERLY and not first):
            self.end(number)
        if first:
            self._noted = number
