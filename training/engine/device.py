"""Where to train: the device asked for, or the fastest that is there, and on how many threads of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn

from training.errors import OptionError

_SMALL: Final = 2**21  # multiplications of a matrix product that two threads do no faster than one


def choose(wish: str) -> torch.device:
    """The device for ``auto``, ``cuda``, ``mps`` or ``cpu``. Raises `OptionError` where it is not on this machine."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wish == "auto":
        return torch.device(next(name for name, is_there in there.items() if is_there))
    if not there[wish]:
        names = ", ".join(name for name, is_there in there.items() if is_there)
        raise OptionError(f"--device is {wish!r}, and torch {torch.__version__} finds here: {names}")
    return torch.device(wish)


def described(device: torch.device) -> str:
    """The device in words, for the log and the model card."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu (up to {torch.get_num_threads()} threads)" if device.type == "cpu" else device.type


@contextmanager
def threads_for(body: nn.Module, rows: int) -> Iterator[None]:
    """One thread where the products of ``rows`` rows with the layers of ``body`` are small; afterwards as before.

    On cores that are free sharing them out gains nothing, and on busy ones the threads wait for each other much longer
    than they work.
    """
    before = torch.get_num_threads()
    if rows * max(parameter.numel() for parameter in body.parameters()) < _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
