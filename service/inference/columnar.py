"""The numbers of many rows at once: all numbers of a block in one pass, and everything else by lookups in another."""

from __future__ import annotations

import copy
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from service.cells import NUMBER_MAX_LETTERS
from service.inference.columns import Column, Pixel
from service.inference.lookup import EXACT, Lookup

# What `Columnar.read` raises for values that have to be read one by one: they are bad, or a parser may have rounded
# them.
Unusual: Final = (ValueError, TypeError, LookupError, OverflowError)

_PLAIN_OR_NULL: Final = frozenset((int, float, type(None)))
_FEW_VALUES: Final = 8192
_NUMBERS: Final = (Column, Pixel)
# What `float` and training read alike, apart from an empty cell.
_PLAIN_CELLS: Final = re.compile("[-+0-9.eE, ]*")

Getter = Callable[[Any], tuple[Any, ...]]


class Columnar:
    """Reads rows of values of ``columns``, with the numbers that `Column.number` gives value by value.

    Each of ``keys`` gets a column's value out of a row: a name if rows are objects, an index if they are lists.
    """

    __slots__ = (
        "_columns",
        "_get_numbers",
        "_get_others",
        "_highest",
        "_indices",
        "_is_required",
        "_lookups",
        "_lowest",
        "_order",
        "_reads_plain_texts",
    )

    def __init__(self, columns: Sequence[Column], keys: Sequence[Any]) -> None:
        numbers = [index for index, column in enumerate(columns) if type(column) in _NUMBERS]
        others = [index for index, column in enumerate(columns) if type(column) not in _NUMBERS]
        self._indices = numbers, others
        self._columns = [columns[index] for index in numbers]
        self._lookups = [self._lookup(columns[index]) for index in others]
        self._lowest = max((-EXACT, *(column.lowest for column in self._columns)))
        self._highest = min((EXACT, *(column.highest for column in self._columns)))
        self._is_required = np.array([not column.missing for column in self._columns], np.bool_)
        self._reads_plain_texts = all(map(self._is_plain, self._columns))
        self._order = np.argsort(np.array([[*numbers, *others]], np.intp))
        self._get(keys)

    def placed(self, keys: Sequence[Any]) -> Self:
        """The same for rows with other keys."""
        other = copy.copy(self)
        other._get(keys)  # noqa: SLF001 - of the same class
        return other

    def read(self, rows: Sequence[Any]) -> NDArray[np.float64]:
        """The numbers (rows, columns) of JSON values; they may be parsed by a parser that rounds long integers.

        Raises one of `Unusual` if a row has no value for a column, or a value has to be read on its own. Other errors
        are those of columns, in any order.
        """
        if len(rows) == 1:
            return self._read_one(rows[0])
        shape = (len(rows), -1)
        numbers = np.array(self._as_numbers([*_flat(self._get_numbers, rows)]), np.float64)
        self._check(numbers)
        if not self._lookups:
            return numbers.reshape(shape)
        looked_up = map(operator.getitem, itertools.cycle(self._lookups), _flat(self._get_others, rows))
        others = np.fromiter(looked_up, np.float64, len(rows) * len(self._lookups)).reshape(shape)
        if not self._columns:
            return others
        by_kind = np.concatenate((numbers.reshape(shape), others), axis=1)
        found: NDArray[np.float64] = by_kind.take(self._order[0], axis=1)
        return found

    def read_column(self, index: int, values: Sequence[Any]) -> list[float]:
        """The numbers of ``values`` of the column at ``index`` alone. Raises as `read` does."""
        numbers, others = self._indices
        if index in others:
            lookup = self._lookups[others.index(index)]
            return [lookup[value] for value in values]
        column = self._columns[numbers.index(index)]
        if not _PLAIN_OR_NULL.issuperset(map(type, values)):
            return [column.number(0, value) for value in values]
        array = np.array(values, np.float64)
        fitting = (array >= self._lowest) & (array <= self._highest)
        if not (fitting | np.isnan(array) if column.missing else fitting).all():
            raise ValueError(values)
        found: list[float] = array.tolist()
        return found

    def _read_one(self, row: Any) -> NDArray[np.float64]:
        """The same for one row, with few calls of numpy."""
        numbers = self._as_numbers(self._get_numbers(row))
        others = map(operator.getitem, self._lookups, self._get_others(row))
        values = np.array([*numbers, *others], np.float64)
        if None in numbers:
            if None in itertools.compress(numbers, self._is_required):
                raise ValueError(row)
            self._check(np.array([0.0 if value is None else value for value in numbers], np.float64))
        else:
            self._check(values[: len(numbers)])
        found: NDArray[np.float64] = values.take(self._order)
        return found

    def _get(self, keys: Sequence[Any]) -> None:
        self._get_numbers, self._get_others = (_getter([keys[index] for index in each]) for each in self._indices)

    def _lookup(self, column: Column) -> Lookup:
        return column.lookup

    def _is_plain(self, column: Column) -> bool:
        """Whether the column reads a text as `float` does if it has no other characters than numbers."""
        return column.cells is not None and (column.cells.decimal, column.cells.thousands) == (".", "")

    def _as_numbers(self, values: Sequence[Any]) -> Sequence[Any]:
        """``values`` (rows * columns of numbers,) as numbers, or None for missing ones."""
        types = set(map(type, values))
        if types <= _PLAIN_OR_NULL:
            return values
        if types == {str} and self._reads_plain_texts and (numbers := _plain_numbers(values)) is not None:
            return numbers
        return [column.number(0, value) for column, value in zip(itertools.cycle(self._columns), values)]

    def _check(self, numbers: NDArray[np.float64]) -> None:
        """Raise `ValueError` if any of ``numbers`` (rows * columns of numbers,) may be rounded, or may not be there."""
        if self._surely_fit(numbers):
            return
        missing = np.isnan(numbers).reshape(-1, len(self._columns))
        # These ignore NaN.
        highest, lowest = np.fmax.reduce(numbers), np.fmin.reduce(numbers)
        absent = np.logical_or.reduce(missing & self._is_required, axis=None)
        if absent or highest > self._highest or lowest < self._lowest:
            raise ValueError(numbers)

    def _surely_fit(self, numbers: NDArray[np.float64]) -> bool:
        """Whether all of ``numbers`` are certainly in bounds, and none is NaN."""
        if len(numbers) <= _FEW_VALUES and self._highest == -self._lowest:
            # As in `schema.fits_float32`.
            return float(np.vdot(numbers, numbers)) <= self._highest**2
        return bool(np.maximum.reduce(numbers) <= self._highest and np.minimum.reduce(numbers) >= self._lowest)


class CellColumnar(Columnar):
    """The same for cells of a text table, with the numbers that `Column.cell` gives."""

    __slots__ = ()

    def _lookup(self, column: Column) -> Lookup:
        return column.cell_lookup

    def _is_plain(self, column: Column) -> bool:
        return column.cells is None or super()._is_plain(column)

    def _as_numbers(self, values: Sequence[str]) -> Sequence[float]:
        if self._reads_plain_texts and (numbers := _plain_numbers(values)) is not None:
            return numbers
        return [column.cell(0, value) for column, value in zip(itertools.cycle(self._columns), values)]


def _plain_numbers(cells: Sequence[str]) -> list[float] | None:
    """The numbers in ``cells``, NaN for an empty one; None if there is anything else."""
    if not _PLAIN_CELLS.fullmatch(",".join(cells)) or max(map(len, cells), default=0) > NUMBER_MAX_LETTERS:
        return None
    try:
        return [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        return None


def _getter(keys: Sequence[Any]) -> Getter:
    """A function from a row to the values that it has for ``keys``; it can be pickled."""
    return operator.itemgetter(*keys) if len(keys) > 1 else partial(_get_each, keys)


def _get_each(keys: Sequence[Any], row: Any) -> tuple[Any, ...]:
    return tuple(row[key] for key in keys)


def _flat(get: Getter, rows: Iterable[Any]) -> Iterable[Any]:
    return itertools.chain.from_iterable(map(get, rows))
