"""The targets of a table: classes or numbers, inferred from the values unless the user gives a task."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.data import precision
from training.data.dataset import Label, join_names, label_string
from training.data.tables import columns
from training.errors import DataError, OptionError

TASKS: Final = ("auto", "classification", "regression")

MAX_INTEGER_CLASSES: Final = 20  # integers with few distinct values are mostly grades, ratings or codes
_MIN_CLASS_ROWS: Final = 3  # to train, to validate and to test; counts have rare values
_MAX_LISTED: Final = 10
_OR_CLASSES: Final = "; use --task classification to treat each value as a class"
_OR_NUMBERS: Final = "; use --task regression to predict numbers"


@dataclass(frozen=True, slots=True)
class Target:
    """``values`` (rows,) int64 indices into ``labels``; without labels (rows, targets) float64.

    ``note`` describes the target for the user.
    """

    values: NDArray[Any]
    labels: tuple[Label, ...]
    note: str


def target_of(table: pa.Table, task: str, *, sampled: bool = False) -> Target:
    """Return the target in ``table``, which has only the target columns and no missing values.

    ``task`` is one of `TASKS`. If ``sampled``, the table has some of the rows only, so that a value which is rare in it
    may have more. Raises `DataError` if the target cannot be learned, `OptionError` if the task does not fit.
    """
    names, arrays = table.column_names, table.columns
    if len(arrays) > 1:
        if task == "classification":
            raise OptionError(f"--task is 'classification', which takes one --target, not {len(names)}")
        return _numbers(names, arrays, "")
    (array,) = arrays
    inferred = task == "auto"
    if task == "classification" or (inferred and _looks_like_classes(array)):
        rare = _rare_integer(array) if inferred and not sampled else None
        if rare is None:
            return _classes(names[0], array, _OR_NUMBERS if columns.is_numeric(array) and inferred else "")
        return _numbers(names, arrays, f", as {rare} is too rare for a class{_OR_CLASSES}")
    return _numbers(names, arrays, _OR_CLASSES if inferred else "")


def are_date_classes(array: pa.ChunkedArray, task: str) -> bool:
    """Return whether dates or times are classes rather than numbers: strings, and few unless ``task`` says so."""
    if not columns.is_string(array) or task == "regression":
        return False
    return task == "classification" or _are_few(array)


def _looks_like_classes(array: pa.ChunkedArray) -> bool:
    if columns.is_integral(array):
        return _are_few(array)
    return not columns.is_numeric(array)


def _are_few(array: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(array).as_py() <= min(MAX_INTEGER_CLASSES, len(array) // 3))


def _rare_integer(array: pa.ChunkedArray) -> int | None:
    """Return the rarest of more than two integers if it has too few rows for a class, as the largest of counts have."""
    if not columns.is_integral(array):
        return None
    found = pc.value_counts(array)
    rows = found.field("counts").to_numpy()
    if len(rows) <= 2 or rows.min() >= _MIN_CLASS_ROWS:
        return None
    return int(found.field("values")[int(rows.argmin())].as_py())


def _classes(name: str, array: pa.ChunkedArray, hint: str) -> Target:
    strings, codes = columns.encode(columns.to_strings(array))
    labels = _typed(array, strings)
    if len(labels) > len(array) / 3:
        raise DataError(
            f"target {name!r} has {len(labels):,} different values in {len(array):,} rows, expected at least 3 rows "
            "per class; choose another --target"
            + (", or predict numbers with --task regression" if columns.is_numeric(array) else "")
        )
    if len(labels) == 1:
        raise DataError(f"target {name!r} is {strings[0]!r:.60} in every row; choose another --target")
    values = codes.astype(np.int64)
    if columns.is_integral(array):
        order = np.argsort(np.array(labels))
        labels, values = tuple(labels[index] for index in order), np.argsort(order)[values]
    names = join_names(tuple(map(label_string, labels)), _MAX_LISTED)
    return Target(values, labels, f"target {name}: {len(labels)} classes ({names}){hint}")


def _typed(array: pa.ChunkedArray, strings: tuple[str, ...]) -> tuple[Label, ...]:
    """Return labels in the target's type from their ``strings``; floats without a fraction are integers."""
    if pa.types.is_boolean(array.type):
        return tuple(string == "true" for string in strings)
    if columns.is_integral(array):
        return tuple(int(Decimal(string)) for string in strings)
    return strings


def _numbers(names: list[str], arrays: list[pa.ChunkedArray], hint: str) -> Target:
    values = []
    for name, array in zip(names, arrays, strict=True):
        if not columns.is_numeric(array):
            raise DataError(
                f"target {name!r} has type {array.type}, expected numbers for regression; remove it from --target"
            )
        numbers = columns.to_numbers(array)
        if (numbers == numbers[0]).all():
            raise DataError(f"target {name!r} is {numbers[0]:g} in every row; choose another --target")
        values.append(numbers)
    ranges = ", ".join(f"{name} ({_range(each)})" for name, each in zip(names, values, strict=True))
    warnings = "".join(map(_precision_warning, names, values))
    return Target(np.stack(values, axis=1), (), f"target {ranges}: numbers{hint}{warnings}")


def _range(values: NDArray[np.float64]) -> str:
    lowest, highest = float(values.min()), float(values.max())
    spread = highest - lowest
    return f"{precision.format_value(lowest, spread, 6)} to {precision.format_value(highest, spread, 6)}"


def _precision_warning(name: str, values: NDArray[np.float64]) -> str:
    step = precision.float64_step(values)
    if step is not None:
        return f"; {name} is so large that float64 rounds it to multiples of {step:,.0f}"
    if precision.needs_float64(values) and precision.outliers_hide_differences(values):
        return f"; {name} has outliers that hide the differences between its other values: remove those rows"
    return ""
