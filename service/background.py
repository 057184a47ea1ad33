"""Lets the threads that answer requests go first while another one runs Python code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

# Requests need the interpreter's lock many times. Each time, Python code in another thread holds it for so long.
_SWITCH_S: Final = 1e-4


class _Switching:
    """How many threads run in the background, and the interpreter's switch interval before the first of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads = 0
        self._before_s = 0.0

    def enter(self) -> None:
        with self._lock:
            if self._threads == 0:
                self._before_s = sys.getswitchinterval()
                sys.setswitchinterval(_SWITCH_S)
            self._threads += 1

    def leave(self) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                sys.setswitchinterval(self._before_s)


_switching: Final = _Switching()


@contextmanager
def quick_switches() -> Iterator[None]:
    """Have this thread give up the interpreter's lock after a tenth of a millisecond whenever another one waits."""
    _switching.enter()
    try:
        yield
    finally:
        _switching.leave()
