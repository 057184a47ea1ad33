"""The average of the weights over the last steps, which is evaluated and kept in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor

_SHARE: Final = 0.2


class WeightAverage:
    """Averages ``values``, float tensors that training changes in place, over about the last fifth of its steps.

    It does nothing if there are none.

    At a high learning rate weights move around a good place, and their average is nearer to it. Its length grows with
    the steps, so that it forgets the first ones: https://arxiv.org/abs/2312.02696 (Karras et al., 2024).
    """

    def __init__(self, values: Sequence[Tensor]) -> None:
        self._values = list(values)
        self._means = [value.clone() for value in values]
        self._steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take note of the values after a step."""
        self._steps += 1
        for value, mean in zip(self._values, self._means, strict=True):
            mean.lerp_(value, 1 / (1 + _SHARE * self._steps))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the values for their averages, or back."""
        for value, mean in zip(self._values, self._means, strict=True):
            kept = value.clone()
            value.copy_(mean)
            mean.copy_(kept)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averages in the place of the values inside the context."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state(self) -> dict[str, Any]:
        """What `load` goes on from."""
        return {"steps": self._steps, "means": self._means}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self._steps = state["steps"]
        for mean, found in zip(self._means, state["means"], strict=True):
            mean.copy_(found)
