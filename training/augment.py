"""Images seen a little differently each time: mirrored, moved, with a part blanked out, one gather a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augment:
    """What may happen to an image of ``height`` x ``width`` pixels, row by row, whose black is ``black``.

    ``sources`` int64 (ways, pixels) has for each way of mirroring and moving where every pixel comes from, one past the
    last for black; ``kept`` bool (places, pixels) is False in the square that is blanked there, and True everywhere in
    as many places more, so that half of the images stay whole. None where nothing is blanked. Erasing is after
    https://arxiv.org/abs/1708.04552 (Cutout).
    """

    sources: Tensor
    kept: Tensor | None
    black: float

    def __call__(self, images: Tensor) -> Tensor:
        """``images`` float32 (rows, pixels), each changed in a way of its own."""
        rows = len(images)
        padded = torch.cat([images, images.new_full((rows, 1), self.black)], dim=1)
        ways = torch.randint(len(self.sources), (rows,), device=images.device)
        moved = padded.gather(1, self.sources[ways])
        if self.kept is None:
            return moved
        places = torch.randint(len(self.kept), (rows,), device=images.device)
        return torch.where(self.kept[places], moved, self.black)


def augment(
    shape: tuple[int, int], black: float, device: torch.device, *, flip: bool, shift_pixels: int, erase_pixels: int
) -> Augment:
    """Tables for images of ``shape`` (height, width)."""
    height, width = shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    steps = range(-shift_pixels, shift_pixels + 1)
    ways = []
    for mirrored in (False, True) if flip else (False,):
        for down in steps:
            for right in steps:
                from_y, from_x = y - down, (width - 1 - x if mirrored else x) - right
                inside = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width)
                ways.append(torch.where(inside, from_y * width + from_x, height * width).flatten())
    kept = None
    if erase_pixels:
        half = erase_pixels / 2
        squares = [
            ((y + 0.5 - centre_y).abs() >= half) | ((x + 0.5 - centre_x).abs() >= half)
            for centre_y in range(height)
            for centre_x in range(width)
        ]
        blanked = torch.stack(squares).flatten(1)
        kept = torch.cat([blanked, torch.ones_like(blanked)]).to(device)
    return Augment(torch.stack(ways).to(device), kept, black)
