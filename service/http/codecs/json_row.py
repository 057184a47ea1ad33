"""Rows of a JSON document to the numbers of a model's columns: one by one, or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http.codecs import named
from service.inference.columnar import Columnar, Unusual
from service.inference.columns import type_name
from service.inference.row_faults import RowFaults, errors_of, of_row
from service.inference.schema import Schema


class RowReader:
    """Reads rows that are flat, nested to the model's shape, or objects by feature name.

    With ``places``, rows are lists that have the value of each feature there, and null for a feature at None; a list
    has ``length`` values. A row that does not fit the model becomes zeros if it can be added to ``faults``.
    """

    __slots__ = ("_columnar", "_length", "faults", "ignore_unknown", "places", "schema")

    def __init__(
        self,
        schema: Schema,
        *,
        ignore_unknown: bool = False,
        faults: RowFaults | None = None,
        places: Sequence[int | None] | None = None,
        length: int = 0,
    ) -> None:
        self.schema = schema
        self.ignore_unknown = ignore_unknown
        self.faults = faults
        self.places = places
        self._length = length
        self._columnar: Columnar | None = None

    @property
    def in_order(self) -> bool:
        """Whether a list has the values of all features, in their order, and nothing else."""
        return self.places is None or list(self.places) == list(range(self._length)) == list(range(self.schema.width))

    def placed(self, places: Sequence[int | None], length: int) -> RowReader:
        """The same for rows that are lists with their values at ``places``."""
        return RowReader(
            self.schema, ignore_unknown=self.ignore_unknown, faults=self.faults, places=places, length=length
        )

    def at_once(self, rows: Sequence[Any]) -> NDArray[np.float64] | None:
        """The numbers (rows, features) of rows that all fit the model; None if that has to be found row by row."""
        types = set(map(type, rows))
        try:
            if types == {dict} and self.places is None:
                return self._read_named(rows)
            if types == {list}:
                return self._read_lists(rows)
        except (InvalidInput, *Unusual):
            pass
        return None

    def numbers(self, index: int, row: object) -> list[float]:
        """The numbers of row ``index``. Raises `InvalidInput`."""
        try:
            values = self._values(index, row)
            return [column.number(index, value) for column, value in zip(self.schema.columns, values, strict=True)]
        except InvalidInput as error:
            return self.bad(index, self._with_others(index, row, error))

    def bad(self, index: int, error: InvalidInput) -> list[float]:
        """Zeros for row ``index``, which has an ``error``; raises it if bad rows are not allowed."""
        if self.faults is None:
            raise error
        self.faults.add(index, error)
        return [0.0] * self.schema.width

    def is_single(self, rows: Sequence[Any]) -> bool:
        """Whether a list is one row rather than a list of rows, judging by its first element."""
        if self.places is not None:
            return False
        lengths, shape = [0], self.schema.shape
        inner: Any = rows[0]
        while isinstance(inner, list) and inner:
            lengths.append(len(inner))
            inner = inner[0]
        if isinstance(inner, list | dict):
            return False
        return len(lengths) == 1 or (len(lengths) == len(shape) and lengths[-1] == shape[-1] != self.schema.width)

    @property
    def expected(self) -> str:
        """What a row should be, for messages."""
        if self.places is not None:
            return f"{self._length} values, as there are columns"
        shape = self.schema.shape
        nested = f" (or nested {' x '.join(map(str, shape))})" if len(shape) > 1 else ""
        return f"{self.schema.width} values{nested}"

    def _read_named(self, rows: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
        schema = self.schema
        if sum(map(len, rows)) == len(rows) * schema.width:
            try:
                return schema.by_name.read(rows)
            except KeyError:
                pass  # other names
        for row in {tuple(row): row for row in rows}.values():
            named.check_names(row, schema, "a row", None, ignore_unknown=self.ignore_unknown)
        return schema.by_name.read([schema.nulls | row for row in rows])

    def _read_lists(self, rows: Sequence[list[Any]]) -> NDArray[np.float64] | None:
        places = self.places
        length = self.schema.width if places is None else self._length
        if set(map(len, rows)) != {length}:
            return None
        if places is None:
            return self.schema.by_position.read(rows)
        if self._columnar is None:
            self._columnar = self.schema.by_position.placed([length if at is None else at for at in places])
        return self._columnar.read([[*row, None] for row in rows] if None in places else rows)

    def _with_others(self, index: int, row: object, error: InvalidInput) -> InvalidInput:
        """``error``, with all others of the row, unless it is an image."""
        columns, found = self.schema.columns, []
        if self.schema.brightest is not None or (self.faults is not None and self.faults.full):
            return error
        try:
            pairs = list(zip(columns, self._values(index, row), strict=True))
        except InvalidInput as of_names:
            found.append(of_names)
            by_name = row if isinstance(row, dict) and self.places is None else {}
            pairs = [(column, by_name[column.name]) for column in columns if column.name in by_name]
        found += errors_of(partial(column.number, index, value) for column, value in pairs)
        return of_row(found, with_hints=self.faults is None or self.faults.has_hints)

    def _values(self, index: int, row: object) -> list[Any]:
        if self.places is not None and isinstance(row, list):
            if len(row) != self._length:
                raise InvalidInput(Fault(f"row {index} has {len(row)} values, expected {self.expected}", row=index))
            return [None if at is None else row[at] for at in self.places]
        if self.places is None and isinstance(row, dict):
            return named.values_by_name(index, row, self.schema, ignore_unknown=self.ignore_unknown)
        if self.places is None and isinstance(row, list):
            return self._flat(index, row)
        raise InvalidInput(Fault(f"row {index} is {type_name(row)}, expected {self.expected}", row=index))

    def _flat(self, index: int, row: list[Any]) -> list[Any]:
        if not any(isinstance(value, list) for value in row):
            if len(row) != self.schema.width:
                raise InvalidInput(Fault(f"row {index} has {len(row)} values, expected {self.expected}", row=index))
            return row
        level: list[Any] = [row]
        for length in self.schema.shape:
            for each in level:
                if not isinstance(each, list) or len(each) != length:
                    found = f"{len(each)} values" if isinstance(each, list) else type_name(each)
                    raise InvalidInput(
                        Fault(f"row {index} has {found} where {length} belong; expected {self.expected}", row=index)
                    )
            level = [value for each in level for value in each]
        return level
