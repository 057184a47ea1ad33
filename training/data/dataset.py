"""A data set: rows, targets, and a description of each column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from service.cells import Cells

# A class, in the type of the target; all labels of a data set have the same type.
Label = str | int | bool
_MAX_LABEL: Final = 2**53 - 1  # every JSON reader holds integers up to here exactly


def file_name(name: str, *, default: str) -> str:
    """Return ``name`` with only letters, digits and ``._-``, for files and URLs; ``default`` if nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or default


def join_names(names: Sequence[str], limit: int) -> str:
    """Join the first ``limit`` names with commas, followed by how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def labels_of(values: Iterable[Any]) -> tuple[Label, ...]:
    """Return classes given as Python or numpy values as booleans, integers or, failing both, strings.

    Floats without a fraction become integers: JSON does not distinguish them, and numpy stores a column of integers
    with missing values as floats. Numbers with a fraction or beyond 2^53 - 1 become strings, because some JSON readers
    would not hold them exactly.
    """
    found = [each.item() if isinstance(each, np.generic) else each for each in values]
    if all(isinstance(each, bool) for each in found):
        return tuple(found)
    numbers = [each for each in found if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if len(numbers) == len(found) and all(abs(each) <= _MAX_LABEL and each == int(each) for each in numbers):
        return tuple(int(each) for each in numbers)
    return tuple(map(label_string, found))


def label_string(label: object) -> str:
    """Return ``label`` for display; a boolean as in JSON."""
    return str(label).lower() if isinstance(label, bool) else str(label)


@dataclass(frozen=True, slots=True)
class Column:
    """One feature. ``missing`` says whether its value may be missing.

    A categorical value is its index in ``categories``, or ``len(categories)`` for any other if ``other`` is set.
    ``cells`` are the rules by which its cells were read; None if they are those of the data set.
    """

    name: str
    type: Literal["numeric", "boolean", "categorical"] = "numeric"
    missing: bool = False
    categories: tuple[str, ...] = ()
    other: bool = False
    cells: Cells | None = None

    @property
    def codes(self) -> int:
        """How many values a categorical column can have; 0 for other types."""
        return len(self.categories) + self.other


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows and targets.

    ``inputs`` (rows, features) are uint8 pixels, float32, or float64 if float32 would lose differences between values;
    NaN where a value is missing.
    ``targets`` (rows,) int64 are indices into ``labels``; without labels they are (rows, targets) float64.
    ``shape`` is the shape of one row, such as (28, 28) for an image.
    The last ``test_rows`` rows are the publisher's test split, if there is one.
    ``source`` describes the origin for the manifest: name, SHA-256 and more.
    ``notes`` are sentences on how the data was interpreted, shown before training.
    ``cells`` are the rules by which a table's cells were read; None without a table. ``target_cells`` are those of
    targets that were read by others.
    """

    name: str
    inputs: NDArray[Any]
    targets: NDArray[Any]
    labels: tuple[Label, ...]
    columns: tuple[Column, ...]
    target_names: tuple[str, ...]
    shape: tuple[int, ...]
    test_rows: int = 0
    source: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cells: Cells | None = None
    target_cells: Mapping[str, Cells] = field(default_factory=dict)

    @property
    def images(self) -> bool:
        """Whether rows are images of one channel."""
        return self.inputs.dtype == np.uint8

    @property
    def class_names(self) -> tuple[str, ...]:
        """The labels for display."""
        return tuple(map(label_string, self.labels))

    @property
    def classifies(self) -> bool:
        """Whether the target is one of ``labels`` rather than a number."""
        return bool(self.labels)
