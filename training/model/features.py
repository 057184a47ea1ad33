"""The first layer of a network for tables: scaled numbers and their bins, flags, categories.

    prepared (rows, columns) ─┬─ numbers, flags ── Piecewise ──▶ standard scores, flags, bins ─┐
                              ├─ codes of few categories ── OneHot ───────────────────────────┼─▶ (rows, width)
                              └─ codes of many categories ── Embeddings ──────────────────────┘

It is part of the trained body, so rows are expanded a batch at a time: all at once they would take several times the
memory of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.data.dataset import Column
from training.model import calendar, piecewise, preprocess
from training.model.embeddings import MOST_ONE_HOT, SIZE, Embeddings, OneHot
from training.model.piecewise import Piecewise
from training.model.preprocess import Preprocess

# Of all columns together, as long as each has the fewest: more of them would make the first layer slow.
_MOST_BINS: Final = 4096
_FEWEST_BINS: Final = 8


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

    @property
    def description(self) -> str:
        """What the columns of the table become, as a sentence for the model card; empty if they are only scaled."""
        parts = []
        if self.numbers.bins:
            parts.append(f"{self.numbers.bins} piecewise-linear bins of the numbers")
        if self.one_hot is not None:
            parts.append(f"{self.one_hot.width} indicators of categories")
        if self.embeddings is not None:
            columns = self.embeddings.columns
            parts.append(f"{SIZE} learned numbers for {columns} feature{'s' * (columns > 1)} with many categories")
        return f"Its first layer has {self.width} inputs, among them {' and '.join(parts)}." if parts else ""

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
    columns: Sequence[Column],
    inputs: NDArray[Any],
    rows: NDArray[np.int64],
    bins: int,
    *,
    short_scales: bool = False,
) -> tuple[Preprocess, Features]:
    """Preprocessing and first layer, fitted to the training ``rows`` int64 (rows,) of ``inputs`` (all rows, features).

    Each numeric feature has up to ``bins`` bins, fewer in a table of many, a short scale of integers only with
    ``short_scales``. If ``inputs`` are float64, numbers are standardised in float64 by the preprocessing, before they
    are rounded to float32. Columns are read one at a time, to save memory.
    """
    in_float64 = inputs.dtype == np.float64
    scaling: list[tuple[float, float]] = []
    edges: list[NDArray[np.float64]] = []
    found_values: Iterable[NDArray[Any]] = (inputs[rows, index] for index in range(len(columns)))
    dates = calendar.fitted(columns, inputs, rows)
    if dates is not None:
        columns, found_values = dates.columns, dates.columns_of(inputs, rows)
    bins = min(bins, max(_FEWEST_BINS, _MOST_BINS // max(1, sum(each.type != "categorical" for each in columns))))
    for index, (column, values) in enumerate(zip(columns, found_values, strict=True)):
        if column.type == "categorical":
            continue
        scaling.append(preprocess.statistics(values))
        mean, scale = scaling[-1]
        short = short_scales or (dates is not None and index >= dates.first_part)
        found = piecewise.edges(values, bins, short_scales=short)
        edges.append((found - mean) * scale if in_float64 else found)
    flags = sum(column.missing for column in columns)
    means, scales = torch.tensor(scaling, dtype=torch.float64).view(-1, 2).T
    zeros, ones = torch.zeros_like(means), torch.ones_like(scales)
    if in_float64:
        preparation = Preprocess(columns, means, scales, dates=dates)
        means, scales = zeros, ones
    else:
        preparation = Preprocess(columns, zeros.float(), ones.float(), fill=means.float())
    numbers = Piecewise(torch.cat([means, torch.zeros(flags)]), torch.cat([scales, torch.ones(flags)]), edges)
    return preparation, Features(columns, numbers)
