"""The numbers of many rows at once: all numbers of a block in one pass, and everything else by lookups in another."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.inference.columns import EXACT, Column

# What `Columnar.read` raises for values that have to be read one by one: they are bad, or a parser may have rounded
# them.
Unusual: Final = (ValueError, TypeError, LookupError, OverflowError)

_PLAIN_OR_NULL: Final = frozenset((int, float, type(None)))
_FEW_VALUES: Final = 8192

Getter = Callable[[Any], tuple[Any, ...]]


class Columnar:
    """Reads rows of values of ``columns``, with the numbers that `Column.number` gives value by value.

    Each of ``keys`` gets a column's value out of a row: a name if rows are objects, an index if they are lists.
    """

    __slots__ = ("_columns", "_get_numbers", "_get_others", "_is_required", "_lookups", "_order")

    def __init__(self, columns: Sequence[Column], keys: Sequence[Any]) -> None:
        numbers = [index for index, column in enumerate(columns) if type(column) is Column]
        others = [index for index, column in enumerate(columns) if type(column) is not Column]
        self._columns = [columns[index] for index in numbers]
        self._lookups = [columns[index].lookup for index in others]
        self._get_numbers = _getter([keys[index] for index in numbers])
        self._get_others = _getter([keys[index] for index in others])
        self._is_required = np.array([not column.missing for column in self._columns], np.bool_)
        self._order = np.argsort(np.array([[*numbers, *others]], np.intp))

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

    def _read_one(self, row: Any) -> NDArray[np.float64]:
        """The same for one row, with few calls of numpy."""
        numbers = self._as_numbers(self._get_numbers(row))
        others = map(operator.getitem, self._lookups, self._get_others(row))
        values = np.array([*numbers, *others], np.float64)
        self._check(values[: len(numbers)])
        found: NDArray[np.float64] = values.take(self._order)
        return found

    def _as_numbers(self, values: Sequence[Any]) -> Sequence[Any]:
        """``values`` (rows * columns of numbers,) as numbers, or None for missing ones."""
        if _PLAIN_OR_NULL.issuperset(map(type, values)):
            return values
        return [column.number(0, value) for column, value in zip(itertools.cycle(self._columns), values)]

    def _check(self, numbers: NDArray[np.float64]) -> None:
        """Raise `ValueError` if any of ``numbers`` (rows * columns of numbers,) may be rounded, or may not be NaN."""
        if not _are_exact(numbers):
            missing = np.isnan(numbers).reshape(-1, len(self._columns))
            # `fmax` ignores NaN.
            if (missing & self._is_required).any() or np.fmax.reduce(np.abs(numbers)) > EXACT:
                raise ValueError(numbers)


def _getter(keys: Sequence[Any]) -> Getter:
    """A function from a row to the values that it has for ``keys``."""
    if not keys:
        return lambda _row: ()
    get = operator.itemgetter(*keys)
    return get if len(keys) > 1 else lambda row: (get(row),)


def _flat(get: Getter, rows: Iterable[Any]) -> Iterable[Any]:
    return itertools.chain.from_iterable(map(get, rows))


def _are_exact(numbers: NDArray[np.float64]) -> bool:
    """Whether all of ``numbers`` (n,) are certainly so small that integers of their size are exact, and none is NaN."""
    if len(numbers) <= _FEW_VALUES:  # as in `schema.fits_float32`; `dot` would warn of infinity
        return float(np.vdot(numbers, numbers)) <= EXACT**2
    return float(np.maximum.reduce(numbers)) <= EXACT and float(np.minimum.reduce(numbers)) >= -EXACT
