"""Categories as numbers: one input for each of a few, a learned vector for each of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

MOST_ONE_HOT: Final = 9  # codes; https://arxiv.org/abs/2407.04491 (Holzmüller et al., RealMLP)
SIZE: Final = 8  # numbers of a learned vector
_DEVIATION: Final = 0.1  # of the initial vectors: rare categories, which hardly move from it, then differ little


class OneHot(nn.Module):
    """For each code of each of some columns, 1 if the row has it."""

    columns: Tensor
    codes: Tensor

    def __init__(self, counts: Sequence[int]) -> None:
        """``counts`` (columns,) says how many codes each column has."""
        super().__init__()
        pairs = [(column, code) for column, count in enumerate(counts) for code in range(count)]
        self.register_buffer("columns", torch.tensor([column for column, _ in pairs], dtype=torch.int64))
        self.register_buffer("codes", torch.tensor([float(code) for _, code in pairs]))
        self.width = len(pairs)

    def forward(self, codes: Tensor) -> Tensor:
        """Float (rows, width) of ``codes`` float (rows, columns); all 0 for a code out of range: a missing value."""
        # The exporter turns index_select into one node, indexing by brackets into three.
        return (codes.index_select(1, self.columns) == self.codes).to(codes.dtype)


class Embeddings(nn.Module):
    """A learned vector of `SIZE` numbers for each code of each of some columns, and one for a missing value.

    All vectors are rows of one matrix, ``weight`` (codes, `SIZE`), so that one lookup serves all columns.
    """

    first: Tensor

    def __init__(self, counts: Sequence[int]) -> None:
        """``counts`` (columns,) says how many codes each column has; the code ``count`` is a missing value."""
        super().__init__()
        sizes = torch.tensor([0, *(count + 1 for count in counts)])
        self.register_buffer("first", sizes.cumsum(0)[:-1])
        self.weight = nn.Parameter(torch.randn(int(sizes.sum()), SIZE) * _DEVIATION)
        self.width = len(counts) * SIZE

    def index(self, codes: Tensor) -> Tensor:
        """The rows of ``weight`` int64 (rows x columns,) for ``codes`` float (rows, columns)."""
        return (codes.to(torch.int64) + self.first).flatten()

    def forward(self, codes: Tensor) -> Tensor:
        """Float (rows, width)."""
        return self.weight.index_select(0, self.index(codes)).view(-1, self.width)

    @torch.no_grad()
    def zero_unseen(self, codes: Tensor) -> None:
        """Zero the vectors of codes that ``codes`` (rows, columns) has none of, so that they contribute nothing."""
        seen = torch.zeros(len(self.weight), dtype=torch.bool, device=self.weight.device)
        for column, first in zip(codes.T, self.first, strict=True):
            seen[column.unique().to(torch.int64) + first] = True
        self.weight[~seen] = 0
