"""Flush subnormal numbers to zero: processors are many times slower with them, and Adam's moments decay into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed() -> Iterator[None]:
    """Flush subnormal numbers to zero inside, on this thread and for good on threads started inside.

    The caller's process may compute other things, so the mode is not set globally. To cover all threads of a run, enter
    before torch starts its thread pool with the first large operation.
    """
    before = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
