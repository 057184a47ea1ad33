"""Training rows that stay in files, and what is known of all of them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of one column.

    ``missing`` is the share of rows without a value. The moments and bounds are over the others, in the column's unit;
    0 for a categorical column or one without values. ``counts`` are the rows of each code of a categorical column.
    """

    missing: float
    mean: float = 0.0
    std: float = 0.0
    min: float = 0.0
    max: float = 0.0
    counts: tuple[int, ...] = ()


class Chunk(NamedTuple):
    """Some training rows: ``inputs`` (rows, features) and ``targets``, encoded as those of the data set."""

    inputs: NDArray[Any]
    targets: NDArray[Any]


class RowFiles(Protocol):
    """The files of the training rows. A shard is the index of a worker and the number of workers."""

    def rows_of(self, shard: tuple[int, int], /) -> int:
        """The training rows of a worker."""
        ...

    def chunks(self, random: np.random.Generator, shard: tuple[int, int], /) -> Generator[Chunk, None, None]:
        """Yield all training rows of a worker once, chunks in random order. Raises `DataError`.

        Closing the generator closes the files.
        """
        ...


@dataclass(frozen=True, slots=True)
class Streamed:
    """The training rows of a table that is larger than memory; its data set has a sample of them.

    ``rows`` are all training rows, and ``statistics`` those of each column over them. ``class_rows`` int64 (classes,)
    counts them by class; None for a regression. ``buffer_rows`` is how many are shuffled together.
    """

    files: RowFiles
    rows: int
    statistics: tuple[Statistics, ...]
    class_rows: NDArray[np.int64] | None
    buffer_rows: int
