"""Image augmentation: random mirroring, shifts and erasing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

import torch
from torch import Tensor

# One transform per 16 rows: batches are shuffled, and slicing is far cheaper than a gather per pixel.
_GROUP_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Transform:
    """Mirror images left to right or not, then shift them down and right by some pixels."""

    flip: bool
    down: int
    right: int

    def write(self, images: Tensor, out: Tensor) -> None:
        """Write transformed ``images`` (rows, height, width) to ``out`` of the same shape, where they cover it."""
        to_y, from_y = _overlap(self.down, images.shape[1])
        to_x, from_x = _overlap(self.right, images.shape[2])
        out[:, to_y, to_x] = (images.flip(2) if self.flip else images)[:, from_y, from_x]


def transforms(*, flip: bool, shift_pixels: int) -> tuple[Transform, ...]:
    """All transforms that mirror images, with ``flip``, and shift them by up to ``shift_pixels`` along each axis."""
    shifts = range(-shift_pixels, shift_pixels + 1)
    return tuple(Transform(*each) for each in product((False, True) if flip else (False,), shifts, shifts))


@cache
def weights(of: tuple[Transform, ...]) -> Tensor:
    """Sampling weights of the transforms, float32 (transforms,): they fall linearly with the shift along each axis.

    They would reach 0 one pixel beyond the largest shift.
    """
    shifts = torch.tensor([(abs(each.down), abs(each.right)) for each in of])
    return (shifts.max() + 1 - shifts).prod(dim=1).float()


@dataclass(frozen=True, slots=True)
class Augment:
    """Random changes to images of ``height`` x ``width`` pixels, where a black pixel has the value ``black``.

    Each image gets one of ``transforms``, sampled with their `weights`. In half of the images a square with edges of
    ``erase_pixels``, which may lie partly outside, is set to black (https://arxiv.org/abs/1708.04552).
    """

    height: int
    width: int
    black: float
    transforms: tuple[Transform, ...]
    erase_pixels: int

    def transformed(self, images: Tensor, transform: Transform) -> Tensor:
        """Copies of ``images`` float32 (rows, pixels), all with the same transform."""
        source, changed = self._canvas(images)
        transform.write(source, changed)
        return changed.view_as(images)

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Randomly changed copies of ``images`` float32 (rows, pixels), one change per `_GROUP_ROWS` rows; and targets.

        From targets (rows, transforms, outputs), those of the transform of each row are returned.
        """
        source, changed = self._canvas(images)
        groups = len(source) // _GROUP_ROWS + 1
        chosen = torch.multinomial(weights(self.transforms), groups, replacement=True)
        numbers = chosen.tolist()
        erased = torch.randint(2, (groups,)).tolist()
        centres = (torch.rand(groups, 2) * torch.tensor([self.height, self.width])).long().tolist()
        for index, first in enumerate(range(0, len(source), _GROUP_ROWS)):
            group = slice(first, first + _GROUP_ROWS)
            self.transforms[numbers[index]].write(source[group], changed[group])
            if self.erase_pixels and erased[index]:
                y, x = (_square(centre, self.erase_pixels) for centre in centres[index])
                changed[group, y, x] = self.black
        if targets.ndim == 3:
            rows = torch.arange(len(source), device=targets.device)
            targets = targets[rows, chosen.repeat_interleave(_GROUP_ROWS)[: len(source)].to(targets.device)]
        return changed.view_as(images), targets

    def _canvas(self, images: Tensor) -> tuple[Tensor, Tensor]:
        source = images.view(-1, self.height, self.width)
        return source, torch.full_like(source, self.black)


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """The target and source pixels of a ``shift`` along an axis; empty if the image is shifted out of view."""
    shift = max(-size, min(shift, size))
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size + min(-shift, 0))


def _square(centre: int, edge: int) -> slice:
    start = centre - edge // 2
    return slice(max(start, 0), max(start + edge, 0))
