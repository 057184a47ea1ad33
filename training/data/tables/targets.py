"""What is to be predicted: classes, or numbers, told by the columns themselves unless the user says it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.data import precision
from training.data.dataset import Label, label_string
from training.data.tables import columns
from training.errors import DataError, OptionError

TASKS: Final = ("auto", "classification", "regression")

# Whole numbers that take few values are mostly grades, stars or codes: for each of them there is a class.
_FEW: Final = 20
_SHOWN: Final = 10
_OR_CLASSES: Final = "; --task classification would take each value for a class"
_OR_NUMBERS: Final = "; --task regression would take it for a number"


@dataclass(frozen=True, slots=True)
class Target:
    """``values`` int64 (rows,) places in ``labels``, or float64 (rows, targets) where there are none; ``note`` says it
    in words."""

    values: NDArray[Any]
    labels: tuple[Label, ...]
    note: str


def target_of(table: pa.Table, task: str) -> Target:
    """What ``table``, the target columns alone and no value of them missing, asks to be predicted.

    ``task`` is one of `TASKS`. Raises `DataError` where nothing can be learned, `OptionError` where the task does not
    fit.
    """
    names, arrays = table.column_names, table.columns
    for name, array in zip(names, arrays, strict=True):
        if columns.is_date(array):
            raise DataError(f"target {name!r} holds dates; turn it into a number, such as days, to predict it")
    if len(arrays) > 1:
        if task == "classification":
            raise OptionError(f"--task is 'classification', which takes one --target, not {len(names)}")
        return _numbers(names, arrays, "")
    (array,) = arrays
    asked = task != "auto"
    if task == "classification" or (not asked and _looks_like_classes(array)):
        return _classes(names[0], array, _OR_NUMBERS if columns.is_numeric(array) and not asked else "")
    return _numbers(names, arrays, "" if asked else _OR_CLASSES)


def _looks_like_classes(array: pa.ChunkedArray) -> bool:
    if columns.is_whole(array):
        return bool(pc.count_distinct(array).as_py() <= min(_FEW, len(array) // 3))
    return not columns.is_numeric(array)


def _classes(name: str, array: pa.ChunkedArray, override: str) -> Target:
    texts = columns.texts_of(array)
    texts_found, places = columns.codes_of(texts)
    labels = _typed(array, texts_found)
    if len(labels) > len(texts) / 3:
        raise DataError(
            f"target {name!r} has {len(labels):,} different values in {len(texts):,} rows, and each class needs 3 rows "
            "or more; name another --target"
            + (", or predict numbers with --task regression" if columns.is_numeric(array) else "")
        )
    if len(labels) == 1:
        raise DataError(f"target {name!r} is {texts_found[0]!r:.60} in every row; there is nothing to predict")
    values = places.astype(np.int64)
    if columns.is_whole(array):
        order = np.argsort(np.array(labels))
        labels, values = tuple(labels[index] for index in order), np.argsort(order)[values]
    shown = ", ".join(map(label_string, labels[:_SHOWN])) + (
        f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    )
    return Target(values, labels, f"target {name}: {len(labels)} classes ({shown}){override}")


def _typed(array: pa.ChunkedArray, texts: tuple[str, ...]) -> tuple[Label, ...]:
    """Labels in the target's own type, of their texts: integers also where a column of them came with a point."""
    if pa.types.is_boolean(array.type):
        return tuple(text == "true" for text in texts)
    if columns.is_whole(array):
        return tuple(int(Decimal(text)) for text in texts)
    return texts


def _numbers(names: list[str], arrays: list[pa.ChunkedArray], override: str) -> Target:
    values = []
    for name, array in zip(names, arrays, strict=True):
        if not columns.is_numeric(array):
            raise DataError(f"target {name!r} is of type {array.type}, and regression predicts numbers; leave it out")
        numbers = columns.numbers_of(array)
        if (numbers == numbers[0]).all():
            raise DataError(f"target {name!r} is {numbers[0]:g} in every row; there is nothing to predict")
        values.append(numbers)
    ranges = ", ".join(f"{name} ({_range(each)})" for name, each in zip(names, values, strict=True))
    coarse = "".join(map(_coarse, names, values))
    return Target(np.stack(values, axis=1), (), f"target {ranges}: numbers{override}{coarse}")


def _range(values: NDArray[np.float64]) -> str:
    lowest, highest = float(values.min()), float(values.max())
    spread = highest - lowest
    return f"{precision.format_value(lowest, spread, 6)} to {precision.format_value(highest, spread, 6)}"


def _coarse(name: str, values: NDArray[np.float64]) -> str:
    step = precision.float64_step(values)
    if step is not None:
        return f"; float64 rounds those of {name} to steps of {step:,.0f}, as they are so large"
    if precision.needs_float64(values) and precision.outliers_hide_differences(values):
        return f"; some of {name} are so far from the others that what tells those apart is lost: leave such rows out"
    return ""
