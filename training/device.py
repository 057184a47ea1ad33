"""Where to train: the device asked for, or the fastest that is there."""

from __future__ import annotations

import torch

from training.errors import OptionError


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
    return f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type
