"""What a data set is: rows, targets, and what is known of its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.cells import Cells


def plain_name(text: str, *, otherwise: str) -> str:
    """``text`` as a name for files and paths, of letters, digits and ``._-``; ``otherwise`` where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or otherwise


@dataclass(frozen=True, slots=True)
class Column:
    """One feature. ``kind`` is ``numeric``, ``boolean`` or ``categorical``; ``missing`` says whether it may be.

    A category's value in a row is its place in ``categories``, or ``len(categories)`` for ``other`` ones.
    """

    name: str
    kind: Literal["numeric", "boolean", "categorical"] = "numeric"
    missing: bool = False
    categories: tuple[str, ...] = ()
    other: bool = False

    @property
    def codes(self) -> int:
        """How many values a categorical column takes; 0 for the others."""
        return len(self.categories) + self.other


@dataclass(frozen=True, slots=True)
class Dataset:
    """``inputs`` (rows, features), NaN where a value is missing, and what is to be predicted.

    Inputs are uint8, float32, or float64 where float32 could not hold a column's values apart: the graph takes them in
    float64 then. ``targets`` are int64 (rows,) places in ``labels``, or, where there are no labels, float64
    (rows, targets), as the publisher has them.
    ``shape`` is what one row can be nested to. The last ``test_rows`` rows are the publisher's own test split, where it
    has one. ``source`` is where the rows came from, for the manifest: name, SHA-256, and so on. ``notes`` are sentences
    on how the data was understood, for the user to see before training. ``cells`` are the rules by which the texts of a
    table were read; None where there was no table.
    """

    name: str
    inputs: NDArray[Any]
    targets: NDArray[Any]
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    target_names: tuple[str, ...]
    shape: tuple[int, ...]
    test_rows: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cells: Cells | None = None

    @property
    def images(self) -> bool:
        """Whether a row is a picture of one channel: its values are pixels, to be scaled together."""
        return self.inputs.dtype == np.uint8

    @property
    def classifies(self) -> bool:
        """Whether the target is one of ``labels``, and not a number."""
        return bool(self.labels)
