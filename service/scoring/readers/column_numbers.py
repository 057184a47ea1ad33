"""One column of an Arrow table to the network's numbers: the server's verdicts and values, many rows at a time.

Arrays that are certainly right are converted as a whole, and texts once for each distinct one. All others go through
the server's own reader of Arrow columns, or its reader of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, types

from service.cells import NUMBER_MAX_LETTERS
from service.errors import InvalidInput
from service.http.codecs.arrow_columns import ColumnReader
from service.inference.columns import Category, Column, DateTime, Marked, Pixel
from service.inference.row_faults import RowFaults

_NUMBERS: Final = (Column, Pixel)
_EXACT_BYTES: Final = 4  # integers of up to 32 bits and float32 are exact as float64


def of_values(column: Column, array: Any, faults: RowFaults) -> NDArray[Any]:
    """The numbers (rows,) of a typed ``array``; bad ones are anything, and their rows in ``faults``."""
    kind = array.type
    if types.is_string_view(kind):
        array, kind = array.cast(pa.string()), pa.string()
    if type(column) in _NUMBERS and (types.is_integer(kind) or types.is_floating(kind)) and not array.null_count:
        numbers = _certain(column, array)
        if numbers is not None:
            return numbers
    inner = kind.value_type if types.is_dictionary(kind) else kind
    if isinstance(column, Category | DateTime) and (types.is_string(inner) or types.is_large_string(inner)):
        return _by_distinct(array, column.number, faults)
    return ColumnReader(column, faults).numbers(array, 0)


def of_cells(column: Column, array: Any, faults: RowFaults) -> NDArray[np.float64]:
    """The same of an array of strings, the cells of a text table."""
    if _reads_plain_numbers(column) and (found := _plain(column, array)) is not None:
        numbers, taken = found
        for row in np.flatnonzero(~taken).tolist():
            numbers[row] = _one(column.cell, row, array[row].as_py(), faults)
        return numbers
    return _by_distinct(array, column.cell, faults)


def _certain(column: Column, array: Any) -> NDArray[Any] | None:
    """The numbers of an array without nulls; None unless all are certainly within the column's range."""
    values: NDArray[Any] = np.from_dlpack(array)  # `to_numpy` would import pandas, if it is installed
    if values.dtype.kind != "f" and values.dtype.itemsize > _EXACT_BYTES:
        values = values.astype(np.float64)  # as the server does, before the network's dtype
    if not len(values):
        return values
    lowest, highest = float(np.minimum.reduce(values)), float(np.maximum.reduce(values))
    return values if column.lowest <= lowest and highest <= column.highest else None  # NaN compares false


def _reads_plain_numbers(column: Column) -> bool:
    """Whether a cell such as -1.5e3 is that number, which the column may still reject."""
    cells = column.cells
    return type(column) in (*_NUMBERS, Marked) and (cells is None or (cells.decimal, cells.thousands) == (".", ""))


def _plain(column: Column, array: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """The numbers in cells, and which of them are certain; None if a cell is neither a number nor a missing value."""
    longest = compute.max(compute.binary_length(array)).as_py()
    if longest is None or longest > NUMBER_MAX_LETTERS:
        return None
    missing = np.zeros(len(array), np.bool_)
    try:
        numbers = array.cast(pa.float64())
    except pa.ArrowInvalid:
        is_mark = compute.is_in(array, value_set=pa.array(sorted(column.marks), pa.string()))
        try:
            numbers = compute.if_else(is_mark, pa.scalar(None, pa.string()), array).cast(pa.float64())
        except pa.ArrowInvalid:
            return None
        missing = is_mark.to_numpy(zero_copy_only=False)
    values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    values = values if values.flags.writeable else values.copy()
    taken = (column.lowest <= values) & (values <= column.highest)
    if column.sentinels:
        taken &= ~np.isin(values, np.array(sorted(column.sentinels)))
    if column.missing:
        taken |= missing
    return values, taken


def _by_distinct(array: Any, read: Callable[[int, Any], float], faults: RowFaults) -> NDArray[np.float64]:
    """What ``read`` gives of each value, called once for each distinct one, and again for each bad row."""
    if types.is_dictionary(array.type) and len(array.dictionary) > len(array):
        array = array.dictionary_decode()
    encoded = array if types.is_dictionary(array.type) else array.dictionary_encode()
    values = [*encoded.dictionary.to_pylist(), None]
    places: NDArray[np.int64] = encoded.indices.cast(pa.int64()).fill_null(len(values) - 1).to_numpy()
    used = np.zeros(len(values), np.bool_)
    used[places] = True
    numbers, bad = np.zeros(len(values)), np.zeros(len(values), np.bool_)
    for at in np.flatnonzero(used).tolist():
        try:
            numbers[at] = read(0, values[at])
        except InvalidInput:
            bad[at] = True
    if bad.any():
        for row in np.flatnonzero(bad[places]).tolist():
            _one(read, row, values[places[row]], faults)
    result: NDArray[np.float64] = numbers[places]
    return result


def _one(read: Callable[[int, Any], float], row: int, value: Any, faults: RowFaults) -> float:
    try:
        return read(row, value)
    except InvalidInput as error:
        faults.add(row, error)
        return 0.0
