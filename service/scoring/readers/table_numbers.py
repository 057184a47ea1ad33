"""The features in a record batch, found by name, as the rows that the network takes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http.codecs import named
from service.http.codecs.arrow_columns import check_type
from service.inference.columns import Column
from service.inference.row_faults import RowFaults
from service.inference.schema import Schema
from service.scoring.readers import column_numbers
from service.scoring.readers.source import Wanted

_COMPARED: Final = 100
_SHOWN: Final = 5

ReadColumn = Callable[[Column, Any, RowFaults], NDArray[Any]]


class TableNumbers:
    """Reads record batches whose columns have these ``names``.

    Raises `InvalidInput` if a feature is absent that may not be missing, or no feature is there.
    """

    def __init__(self, names: Sequence[str], wanted: Wanted, read: ReadColumn) -> None:
        self._schema = wanted.schema
        self._dtype = wanted.dtype
        self._read = read
        try:
            self._places = named.positions(names, wanted.schema, ignore_unknown=True)
        except InvalidInput as error:
            raise InvalidInput(Fault(f"{error}{_misspelt(names, wanted.schema)}")) from error

    @classmethod
    def of_types(cls, arrow_schema: Any, wanted: Wanted) -> TableNumbers:
        """The same for typed columns. Raises `InvalidInput`, too, for a column of a type that no value has."""
        reader = cls(arrow_schema.names, wanted, column_numbers.of_values)
        for column, at in zip(wanted.schema.columns, reader._places, strict=True):
            if at is not None:
                check_type(column.name, arrow_schema.field(at).type, column, wanted.schema)
        return reader

    @classmethod
    def of_cells(cls, names: Sequence[str], wanted: Wanted) -> TableNumbers:
        """The same for columns of strings, the cells of a text table."""
        return cls(names, wanted, column_numbers.of_cells)

    def features(self) -> list[int]:
        """The positions of the columns that are features."""
        return [at for at in self._places if at is not None]

    def __call__(self, columns: Sequence[Any], rows: int, faults: RowFaults) -> NDArray[Any]:
        """The numbers (rows, features) of Arrow arrays (rows,), in the graph's dtype; rows in ``faults`` are zeros."""
        numbers = np.empty((rows, self._schema.width), self._dtype)
        for index, (column, at) in enumerate(zip(self._schema.columns, self._places, strict=True)):
            # NaN is a missing value.
            numbers[:, index] = np.nan if at is None else self._read(column, columns[at], faults)
        if faults:
            numbers[faults.rows()] = 0
        self._schema.check_pixels(numbers)
        return numbers


def _misspelt(names: Sequence[str], schema: Schema) -> str:
    """Names that may be meant for features that are absent, or all names if none is similar."""
    others = [name for name in names if name not in schema.names][:_COMPARED]
    absent = [name for name in schema.names if name not in names][:_COMPARED]
    pairs = [(near[0], name) for name in absent if (near := difflib.get_close_matches(name, others, n=1))]
    if pairs:
        return f" (is {', '.join(f'{near!r:.60} meant to be {name!r:.60}' for near, name in pairs[:3])}?)"
    found = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN])
    return f"; its columns are {found}{' and more' * (len(names) > _SHOWN)}" if absent else ""
