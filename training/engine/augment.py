"""Images seen a little differently each time: mirrored, moved, with a part blanked out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

import torch
from torch import Tensor

# Rows of a batch come in random order: what a few neighbours share is still a way of its own for each image from one
# epoch to the next, and slices are many times cheaper than a gather with an index for every pixel.
_GROUP_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Way:
    """How images are seen: mirrored or not, then moved by so many pixels."""

    flip: bool
    down: int
    right: int

    def draw(self, images: Tensor, onto: Tensor) -> None:
        """Put ``images`` (rows, height, width) onto another such tensor; what comes in from outside stays as it is."""
        to_y, from_y = _overlap(self.down, images.shape[1])
        to_x, from_x = _overlap(self.right, images.shape[2])
        onto[:, to_y, to_x] = (images.flip(2) if self.flip else images)[:, from_y, from_x]


def ways(*, flip: bool, shift_pixels: int) -> tuple[Way, ...]:
    """Every way that there is where images are mirrored or not, and moved by up to ``shift_pixels`` up, down, aside."""
    steps = range(-shift_pixels, shift_pixels + 1)
    return tuple(Way(*each) for each in product((False, True) if flip else (False,), steps, steps))


@cache
def frequencies(of: tuple[Way, ...]) -> Tensor:
    """How often each of the ways is met, next to one another, float32 (ways,): the further the move, the rarer.

    Along each axis it falls in even steps, to nothing one pixel beyond the furthest.
    """
    moves = torch.tensor([(abs(way.down), abs(way.right)) for way in of])
    return (moves.max() + 1 - moves).prod(dim=1).float()


@dataclass(frozen=True, slots=True)
class Augment:
    """What may happen to an image of ``height`` x ``width`` pixels whose black is ``black``.

    It is seen in any of ``ways``, with their `frequencies`, and in half of the images a square of edge
    ``erase_pixels``, which may lie partly outside, is blanked (https://arxiv.org/abs/1708.04552).
    """

    height: int
    width: int
    black: float
    ways: tuple[Way, ...]
    erase_pixels: int

    def seen(self, images: Tensor, way: Way) -> Tensor:
        """Copies of ``images`` float32 (rows, pixels), all of them in that way."""
        source, changed = self._canvas(images)
        way.draw(source, changed)
        return changed.view_as(images)

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Changed copies of ``images`` float32 (rows, pixels), `_GROUP_ROWS` neighbours in the same way; and targets.

        Where ``targets`` have three dimensions, (rows, ways, outputs), those of the way that was taken are given.
        """
        source, changed = self._canvas(images)
        groups = len(source) // _GROUP_ROWS + 1
        taken = torch.multinomial(frequencies(self.ways), groups, replacement=True)
        numbers = taken.tolist()
        erased = torch.randint(2, (groups,)).tolist()
        centres = (torch.rand(groups, 2) * torch.tensor([self.height, self.width])).long().tolist()
        for index, first in enumerate(range(0, len(source), _GROUP_ROWS)):
            group = slice(first, first + _GROUP_ROWS)
            self.ways[numbers[index]].draw(source[group], changed[group])
            if self.erase_pixels and erased[index]:
                y, x = (_square(centre, self.erase_pixels) for centre in centres[index])
                changed[group, y, x] = self.black
        if targets.ndim == 3:
            rows = torch.arange(len(source), device=targets.device)
            targets = targets[rows, taken.repeat_interleave(_GROUP_ROWS)[: len(source)].to(targets.device)]
        return changed.view_as(images), targets

    def _canvas(self, images: Tensor) -> tuple[Tensor, Tensor]:
        source = images.view(-1, self.height, self.width)
        return source, torch.full_like(source, self.black)


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where pixels moved by ``shift`` along an axis come to lie, and where they come from; nowhere if out of sight."""
    shift = max(-size, min(shift, size))
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size + min(-shift, 0))


def _square(centre: int, edge: int) -> slice:
    start = centre - edge // 2
    return slice(max(start, 0), max(start + edge, 0))
