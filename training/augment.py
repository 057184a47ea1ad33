"""Images seen a little differently each time: mirrored, moved, with a part blanked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

# Rows of a batch come in random order: what a few neighbours share is still a way of its own for each image from one
# epoch to the next, and slices are many times cheaper than a gather with an index for every pixel.
_GROUP_ROWS: Final = 16


@dataclass(frozen=True, slots=True)
class Augment:
    """What may happen to an image of ``height`` x ``width`` pixels whose black is ``black``.

    Half are mirrored where ``flip`` is set, each is moved by up to ``shift_pixels`` in both directions, and in half of
    them a square of edge ``erase_pixels``, which may lie partly outside, is blanked (https://arxiv.org/abs/1708.04552).
    """

    height: int
    width: int
    black: float
    flip: bool
    shift_pixels: int
    erase_pixels: int

    def __call__(self, images: Tensor) -> Tensor:
        """Changed copies of ``images`` float32 (rows, pixels); `_GROUP_ROWS` neighbours are changed in the same way."""
        source = images.view(-1, self.height, self.width)
        changed = torch.full_like(source, self.black)
        groups = len(source) // _GROUP_ROWS + 1
        flips = torch.randint(2, (groups,)).tolist()
        shifts = torch.randint(-self.shift_pixels, self.shift_pixels + 1, (groups, 2)).tolist()
        erased = torch.randint(2, (groups,)).tolist()
        centres = (torch.rand(groups, 2) * torch.tensor([self.height, self.width])).long().tolist()
        for index, first in enumerate(range(0, len(source), _GROUP_ROWS)):
            group = slice(first, first + _GROUP_ROWS)
            rows = source[group].flip(2) if self.flip and flips[index] else source[group]
            to_y, from_y = _overlap(shifts[index][0], self.height)
            to_x, from_x = _overlap(shifts[index][1], self.width)
            changed[group, to_y, to_x] = rows[:, from_y, from_x]
            if self.erase_pixels and erased[index]:
                y, x = (_square(centre, self.erase_pixels) for centre in centres[index])
                changed[group, y, x] = self.black
        return changed.view_as(images)


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where pixels moved by ``shift`` along an axis come to lie, and where they come from; nowhere if out of sight."""
    shift = max(-size, min(shift, size))
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size + min(-shift, 0))


def _square(centre: int, edge: int) -> slice:
    start = centre - edge // 2
    return slice(max(start, 0), max(start + edge, 0))
