"""Numbers so near to 0 that a processor is many times slower with them: Adam's moments fade into such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def flushed() -> Iterator[None]:
    """Inside, they count as 0 on this thread, and for good on those that it starts; after it, as before it.

    It is no choice for a whole process that others compute in, too. To have all threads of a run in it, enter it before
    torch starts them with its first large operation.
    """
    before = bool(torch.tensor(1e-40) * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
