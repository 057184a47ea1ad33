"""A data set: rows, targets, and a description of each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from service.cells import Cells
from service.dates import MONTHLY, DateFormat
from training.data.streamed import Streamed

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

    A categorical value is its index in ``categories``, or ``len(categories)`` for any other if ``other`` is set. A
    datetime is days since 1970-01-01, the time of day as a fraction; a text was read in its ``format``. ``has_time``
    says that there are times of day. ``cells`` are the rules by which its cells were read; None if they are those of
    the data set.
    """

    name: str
    type: Literal["numeric", "boolean", "categorical", "datetime"] = "numeric"
    missing: bool = False
    categories: tuple[str, ...] = ()
    other: bool = False
    cells: Cells | None = None
    format: DateFormat | None = None
    has_time: bool = False

    @property
    def codes(self) -> int:
        """How many values a categorical column can have; 0 for other types."""
        return len(self.categories) + self.other

    @property
    def monthly(self) -> bool:
        """Whether dates are months, which have no day."""
        return self.format in MONTHLY


GIVEN: Final = "given by the data set"  # where a publisher's test rows come from
# What a row is for, in `Division.parts`.
REST: Final = 0
VALIDATION: Final = 1
TEST: Final = 2
PART_NAMES: Final = {REST: "training", VALIDATION: "validation", TEST: "test"}
HELD_OUT: Final = {"validation": VALIDATION, "test": TEST}


@dataclass(frozen=True, slots=True)
class Division:
    """What the data says about how to divide its rows; the arrays are (rows,), or None.

    ``parts`` int8 is `VALIDATION` or `TEST` for rows whose part is given. All other rows are `REST`: a part that has no
    row is drawn from them, and those that remain are for training. Nothing about a network is chosen by a row whose
    part is given. ``given`` says for each given part, by its name, where it comes from.

    Rows are drawn at random, unless ``groups`` int64 keeps rows with the same number together, or ``times`` float64
    makes the latest rows the test and those before them the validation rows. ``column`` is where groups or times come
    from.
    """

    parts: NDArray[np.int8] | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    times: NDArray[np.float64] | None = None
    column: str = ""

    def rest(self, rows: int) -> NDArray[np.bool_]:
        """Which of all ``rows`` no part is given for, (rows,)."""
        return np.ones(rows, bool) if self.parts is None else self.parts == REST

    def rows_of(self, part: int) -> NDArray[np.int64]:
        """The rows that are given as ``part``."""
        return np.flatnonzero(np.zeros(0) if self.parts is None else self.parts == part)


def last_rows_test(rows: int, test_rows: int) -> Division:
    """The division of ``rows`` whose last ``test_rows`` are the publisher's test rows; at random if there are none."""
    if not test_rows:
        return Division()
    parts = np.zeros(rows, np.int8)
    parts[rows - test_rows :] = TEST
    return Division(parts, {"test": GIVEN})


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows and targets.

    ``inputs`` (rows, features) are uint8 pixels, float32, or float64 if there are dates or float32 would lose
    differences between values; NaN where a value is missing.
    ``targets`` (rows,) int64 are indices into ``labels``; without labels they are (rows, targets) float64.
    ``shape`` is the shape of one row, such as (28, 28) for an image.
    ``division`` says how to divide the rows for training, validation and test.
    ``weights`` float64 (rows,) say how much each row counts; None for equal weights.
    ``source`` describes the origin for the manifest: name, SHA-256 and more.
    ``notes`` are sentences on how the data was interpreted, shown before training.
    ``cells`` are the rules by which a table's cells were read; None without a table. ``target_cells`` are those of
    targets that were read by others.

    A table that is larger than memory is loaded in two steps. At first it has some rows, which tell the types of its
    columns, and ``collect``. That reads all rows, given the largest shares of them for validation and test, and returns
    the data set: ``streamed`` are its training rows, of which it holds a sample, and its division gives the parts.
    """

    name: str
    inputs: NDArray[Any]
    targets: NDArray[Any]
    labels: tuple[Label, ...]
    columns: tuple[Column, ...]
    target_names: tuple[str, ...]
    shape: tuple[int, ...]
    division: Division = Division()
    weights: NDArray[np.float64] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cells: Cells | None = None
    target_cells: Mapping[str, Cells] = field(default_factory=dict)
    streamed: Streamed | None = None
    collect: Callable[[float, float], Dataset] | None = None

    def weights_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """The weights of ``rows``; None for equal weights."""
        return None if self.weights is None else self.weights[rows]

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
