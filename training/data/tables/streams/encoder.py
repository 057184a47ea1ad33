"""Encode blocks of a streamed table by the rules that its first look found: as in memory, one block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.cells import Cells
from training.data.dataset import Column, Dataset
from training.data.tables import columns, dates, parsing
from training.data.tables.numbers import Rules
from training.errors import DataError

MAX_CATEGORIES: Final = 1_000_000


class Codes:
    """The codes of strings: in the order in which they come, until they are `fixed`."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self._codes: dict[str, float] | None = None
        self._otherwise = np.nan

    def fix(self, names: Sequence[str], *, other: bool) -> None:
        """Give ``names`` their index from now on, and all other strings the next number, or, unless ``other``, NaN."""
        self._codes = {name: float(code) for code, name in enumerate(names)}
        self._otherwise = float(len(names)) if other else np.nan

    def of(self, strings: pa.ChunkedArray) -> NDArray[np.float64]:
        """The code of each string (rows,), NaN where it is missing."""
        encoded = pc.dictionary_encode(strings).combine_chunks()
        found = encoded.dictionary.to_pylist()
        if self._codes is None:
            codes = [float(self.names.setdefault(name, len(self.names))) for name in found]
        else:
            codes = [self._codes.get(name, self._otherwise) for name in found]
        by_index = np.array([*codes, np.nan])
        result: NDArray[np.float64] = by_index[encoded.indices.fill_null(len(found)).to_numpy()]
        return result


class Encoder:
    """Reads the columns and targets of the data set ``look`` from blocks of its table.

    ``numeric`` are columns that are read as numbers whatever else they hold. Codes of categories and labels are in the
    order in which they come, until their `Codes` are fixed.
    """

    def __init__(self, look: Dataset, numeric: Sequence[str]) -> None:
        self._look = look
        self._rules = Rules(look.cells or Cells(), strict=True, numeric=(*numeric, *self._number_targets))
        self.categories = {column.name: Codes() for column in look.columns if column.type == "categorical"}
        self.labels = Codes()

    @property
    def names(self) -> list[str]:
        """The columns of the table that are read."""
        return [*(column.name for column in self._look.columns), *self._look.target_names]

    @property
    def _number_targets(self) -> tuple[str, ...]:
        return () if self._look.classifies else self._look.target_names

    def targets(self, table: pa.Table) -> NDArray[Any]:
        """The targets: float64, codes of labels (rows,) or values (rows, targets); NaN where they are missing."""
        names = self._look.target_names
        if self._look.classifies:
            return self.labels.of(self._labels(table[names[0]]))
        return np.stack([self._numbers(name, table[name], self._look.target_cells.get(name)) for name in names], axis=1)

    def inputs(self, table: pa.Table) -> NDArray[Any]:
        """The features (rows, columns), in the dtype of the look. Raises `DataError`."""
        found = np.empty((table.num_rows, len(self._look.columns)), self._look.inputs.dtype)
        for index, column in enumerate(self._look.columns):
            found[:, index] = self._values(column, table[column.name])
        return found

    def _values(self, column: Column, array: pa.ChunkedArray) -> NDArray[np.float64]:
        cells = column.cells or self._rules.cells
        if column.format is not None:
            return dates.days_of(column.name, array, column.format, cells)
        if column.type == "categorical":
            strings = array if columns.is_string(array) else columns.to_strings(array)
            codes = self.categories[column.name].of(parsing.as_strings(strings, cells).array)
            if len(self.categories[column.name].names) > MAX_CATEGORIES:
                raise DataError(
                    f"column {column.name!r} has more than {MAX_CATEGORIES:,} different strings; leave it out with "
                    f"--drop {column.name!r}"
                )
            return codes
        return self._numbers(column.name, array, column.cells)

    def _numbers(self, name: str, array: pa.ChunkedArray, own: Cells | None) -> NDArray[np.float64]:
        rules = replace(self._rules, cells=own or self._rules.cells)
        if columns.is_string(array):
            strings, array = array, parsing.infer(name, array, rules, "").array
            if columns.is_string(array) and array.null_count < len(array):
                odd = next(each for each in strings.to_pylist() if rules.cells.number(each) is None and each)
                raise DataError(
                    f"column {name!r} has {odd!r:.60} among its numbers, which the first look had not; use --numeric "
                    f"{name!r} to read what is no number as missing"
                )
        elif pa.types.is_temporal(array.type):  # a duration; others have a format
            return dates.days_of(name, array, "year-month-day", rules.cells)
        elif columns.is_numeric(array):
            array = parsing.without_sentinels(array, rules.cells)
        return np.full(len(array), np.nan) if columns.is_string(array) else columns.to_numbers(array)

    def _labels(self, array: pa.ChunkedArray) -> pa.ChunkedArray:
        """The labels as strings, as `targets.target_of` names them."""
        if columns.is_string(array):
            cells = self._look.target_cells.get(self._look.target_names[0]) or self._rules.cells
            if isinstance(self._look.labels[0], str):
                return parsing.as_strings(array, cells).array
            array = parsing.infer("", array, replace(self._rules, cells=cells), "").array
        elif columns.is_numeric(array):
            array = parsing.without_sentinels(array, self._rules.cells)
        return columns.to_strings(array)
