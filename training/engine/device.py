"""Choose the device to train on, and the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn

from training.errors import OptionError
from training.model.embeddings import Embeddings

_SMALL: Final = 2**21  # multiplications of a matrix product that two threads do not speed up


def choose(requested: str) -> torch.device:
    """The device ``cuda``, ``mps`` or ``cpu``, or for ``auto`` the first available. Raises `OptionError`."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    names = [name for name, is_available in available.items() if is_available]
    if requested == "auto":
        return torch.device(names[0])
    if requested not in names:
        raise OptionError(
            f"--device is {requested!r}, expected auto or one that torch {torch.__version__} finds here: "
            f"{', '.join(names)}"
        )
    return torch.device(requested)


def described(device: torch.device) -> str:
    """The device in words, for the log and the model card."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu (up to {torch.get_num_threads()} threads)" if device.type == "cpu" else device.type


def largest_matrix(body: nn.Module) -> int:
    """The numbers of the largest parameter of ``body`` that rows are multiplied by: embeddings are looked up."""
    layers = [layer for layer in body.modules() if not isinstance(layer, Embeddings)]
    return max(parameter.numel() for layer in layers for parameter in layer.parameters(recurse=False))


@contextmanager
def threads_for(body: nn.Module, rows: int) -> Iterator[None]:
    """Use one thread inside if the matrix products of ``rows`` rows with the layers of ``body`` are small.

    More threads do not speed these up, and on busy cores they wait for each other much longer than they compute.
    """
    before = torch.get_num_threads()
    if rows * largest_matrix(body) < _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
