"""Keeps all threads of the process on one heap, so that what one frees is there for the others."""

from __future__ import annotations

import ctypes
from typing import Final

# M_ARENA_MAX in glibc's malloc.h: https://man7.org/linux/man-pages/man3/mallopt.3.html
_MOST_ARENAS: Final = -8


def share() -> None:
    """Let glibc make no further heaps. Call it before other threads start. Does nothing with other C libraries.

    By default each new thread may get a heap of its own, up to eight for each processor, and a version that is loaded
    in one leaves space that the next, in another heap, does not use.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    set_option(_MOST_ARENAS, 1)
