"""What a data set is: rows, targets, and what is known of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from service.cells import Cells

# A class in the target's own type; all of a data set are of one.
Label = str | int | bool
# What every reader of JSON holds exactly.
_MAX_LABEL: Final = 2**53 - 1


def plain_name(text: str, *, otherwise: str) -> str:
    """``text`` as a name for files and paths, of letters, digits and ``._-``; ``otherwise`` where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._") or otherwise


def labels_of(values: Iterable[Any]) -> tuple[Label, ...]:
    """Classes, as Python or numpy has them, in their own type: booleans, integers, or else texts.

    Floating-point numbers without a fraction are integers: JSON knows no difference, and a column of integers in which
    some are missing comes as such. With a fraction, or beyond 2^53 - 1, numbers are texts: not every reader of JSON
    would hold them apart.
    """
    found = [each.item() if isinstance(each, np.generic) else each for each in values]
    if all(isinstance(each, bool) for each in found):
        return tuple(found)
    numbers = [each for each in found if isinstance(each, (int, float)) and not isinstance(each, bool)]
    if len(numbers) == len(found) and all(abs(each) <= _MAX_LABEL and each == int(each) for each in numbers):
        return tuple(int(each) for each in numbers)
    return tuple(map(text_of, found))


def text_of(label: object) -> str:
    """``label`` as a text for people; a boolean as JSON writes it."""
    return str(label).lower() if isinstance(label, bool) else str(label)


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
    labels: tuple[Label, ...]
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
    def label_texts(self) -> tuple[str, ...]:
        """The labels for people."""
        return tuple(map(text_of, self.labels))

    @property
    def classifies(self) -> bool:
        """Whether the target is one of ``labels``, and not a number."""
        return bool(self.labels)
