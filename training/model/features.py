"""The first layer of a network for tables: scaled numbers and their bins, flags, categories.

    prepared (rows, columns) ─┬─ numbers, flags ── Piecewise ──▶ standard scores, flags, bins ─┐
                              ├─ codes of few categories ── OneHot ───────────────────────────┼─▶ (rows, width)
                              └─ codes of many categories ── Embeddings ──────────────────────┘

It is part of the trained body, so rows are expanded a batch at a time: all at once they would take several times the
memory of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Column
from training.model import piecewise, preprocess
from training.model.embeddings import MOST_ONE_HOT, Embeddings, OneHot
from training.model.piecewise import Piecewise
from training.model.preprocess import Preprocess


class Features(nn.Module):
    """Expand prepared rows, in the layout of `Preprocess`, to the inputs of the first Linear layer."""

    def __init__(self, columns: Sequence[Column], numbers: Piecewise) -> None:
        super().__init__()
        counts = [column.codes for column in columns if column.type == "categorical"]
        few = [count for count in counts if count <= MOST_ONE_HOT]
        many = [count for count in counts if count > MOST_ONE_HOT]
        self.numbers = numbers
        self.one_hot = OneHot(few) if few else None
        self.embeddings = Embeddings(many) if many else None
        numbers_and_flags = sum(column.type != "categorical" for column in columns) + sum(
            each.missing for each in columns
        )
        self._sizes = (numbers_and_flags, len(few), len(many))
        self.width = sum(each.width for each in (numbers, self.one_hot, self.embeddings) if each is not None)

    @property
    def learned_width(self) -> int:
        """How many of its outputs, the last ones, have learned values."""
        return 0 if self.embeddings is None else self.embeddings.width

    def codes(self, prepared: Tensor) -> Tensor:
        """The columns of ``prepared`` with codes of `embeddings`, (rows, columns)."""
        return prepared[:, -self._sizes[2] :]

    def forward(self, prepared: Tensor) -> Tensor:
        """Float32 (rows, width) of ``prepared`` rows float32 (rows, columns)."""
        numbers, few, many = self._sizes
        parts = [self.numbers(prepared[:, :numbers] if few or many else prepared)]
        if self.one_hot is not None:
            parts.append(self.one_hot(prepared[:, numbers : numbers + few]))
        if self.embeddings is not None:
            parts.append(self.embeddings(self.codes(prepared)))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def fitted(
    columns: Sequence[Column], inputs: NDArray[Any], rows: NDArray[np.int64], bins: int
) -> tuple[Preprocess, Features]:
    """Preprocessing and first layer, fitted to the training ``rows`` int64 (rows,) of ``inputs`` (all rows, features).

    Each numeric feature has up to ``bins`` bins. If ``inputs`` are float64, numbers are standardised in float64 by the
    preprocessing, before they are rounded to float32. Columns are read one at a time, to save memory.
    """
    in_float64 = inputs.dtype == np.float64
    scaling: list[tuple[float, float]] = []
    edges: list[NDArray[np.float64]] = []
    for index, column in enumerate(columns):
        if column.type == "categorical":
            continue
        values = inputs[rows, index]
        scaling.append(preprocess.statistics(values))
        mean, scale = scaling[-1]
        found = piecewise.edges(values, bins)
        edges.append((found - mean) * scale if in_float64 else found)
    flags = sum(column.missing for column in columns)
    means, scales = torch.tensor(scaling, dtype=torch.float64).view(-1, 2).T
    unscaled = torch.zeros_like(means), torch.ones_like(scales)
    preparation = (
        Preprocess(columns, means, scales)
        if in_float64
        else Preprocess(columns, *(each.float() for each in unscaled), fill=means.float())
    )
    offset, scale_ = unscaled if in_float64 else (means, scales)
    numbers = Piecewise(torch.cat([offset, torch.zeros(flags)]), torch.cat([scale_, torch.ones(flags)]), edges)
    return preparation, Features(columns, numbers)
