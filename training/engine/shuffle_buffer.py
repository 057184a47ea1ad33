"""A buffer in which rows that come in the order of their files are shuffled."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from training.engine.loop import Batch


class ShuffleBuffer:
    """Holds about ``capacity`` rows of ``chunks``; when half of them are taken, it is filled up and shuffled anew.

    ``ordering`` draws the order.
    """

    def __init__(self, chunks: Iterator[Batch], capacity: int, ordering: torch.Generator) -> None:
        self._chunks = chunks
        self._capacity = capacity
        self._ordering = ordering
        self._rows: Batch | None = None
        self._at = 0
        self._exhausted = False

    def take(self, rows: int) -> Batch:
        """The next ``rows``, fewer at the end."""
        if not self._exhausted and self._left < max(self._capacity // 2, rows):
            self._refill(max(self._capacity, rows))
        assert self._rows is not None  # noqa: S101 - a refill gives some
        taken = _part(self._rows, slice(self._at, self._at + rows))
        self._at += rows
        return taken

    @property
    def _left(self) -> int:
        return 0 if self._rows is None else len(self._rows[0]) - self._at

    def _refill(self, capacity: int) -> None:
        held = self._left
        parts = [] if self._rows is None else [_part(self._rows, slice(self._at, None))]
        while held < capacity:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._exhausted = True
                break
            parts.append(chunk)
            held += len(chunk[0])
        order = torch.randperm(held, generator=self._ordering)
        inputs, targets, weights = zip(*parts, strict=True)
        self._rows = (
            torch.cat(inputs).index_select(0, order),
            torch.cat(targets).index_select(0, order),
            None if weights[0] is None else torch.cat(weights).index_select(0, order),
        )
        self._at = 0


def _part(rows: Batch, part: slice) -> Batch:
    inputs, targets, weights = rows
    return inputs[part], targets[part], None if weights is None else weights[part]
