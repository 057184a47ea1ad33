"""text/csv: rows with columns by name, or by position; cells are read as training reads those of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.cells import strip
from service.errors import Fault, InvalidInput, MalformedBody, UnsupportedMedia
from service.http.codecs import named
from service.http.codecs.codec import Codec, DecodedRows, MediaObject, steps_with_faults
from service.http.codecs.csv_text import CsvText
from service.http.options import RowOptions
from service.inference.columnar import Unusual
from service.inference.model import Model
from service.inference.row_faults import RowFaults, errors_of, of_row
from service.inference.schema import Schema
from service.inference.steps import Steps

_HEADERS: Final = {b"present": True, b"absent": False}
_STEP_VALUES: Final = 1024
_STEP_CHARS: Final = 64 * 1024
_LONGEST_BYTES: Final = 128 * 1024
_LONGEST_VALUE_BYTES: Final = 256
_NO_INDEX: Final = "name it, or write the table without it (in pandas: index=False)"


def rows_from_csv(
    body: bytes, options: RowOptions, schema: Schema, faults: RowFaults | None = None, *, detect: bool = False
) -> Steps[NDArray[np.float64]]:
    """Rows of a CSV text as float64 (rows, features), in steps; bad ones are zeros if they are added to ``faults``.

    The first line has the names of the columns, in any order, or is the first row if the Content-Type says
    ``header=absent``; then each row has all values in the order of the features. If it says nothing and ``detect`` is
    true, the first line is a header if it looks like one. Raises `MalformedBody` and `InvalidInput`.
    """
    header = _has_header(options, None if detect else True)
    longest_bytes = max(_LONGEST_BYTES, _LONGEST_VALUE_BYTES * schema.width)
    text = CsvText(body, longest_bytes, None if header else schema.width)
    lines: Iterator[list[str]] = text
    if header is None:
        first = next(text, [])
        header = not first or _is_header(first, schema)
        lines = chain([first] if first else [], text)
    names = _names(lines, schema, ignore_unknown=options.ignore_unknown) if header else list(schema.names)
    places = named.positions(names, schema, ignore_unknown=options.ignore_unknown) if header else None
    read = CellReader(schema, len(names), places, text.delimiter, header=header)
    # An upper bound of the count: no row is shorter, unless it is bad. Pages that are not written take no memory.
    shortest_bytes = max(1, len(names)) if faults is None else 2
    rows = np.empty((min(schema.max_rows, len(body) // shortest_bytes + 1), schema.width))
    count, step_rows = 0, max(1, _STEP_VALUES // schema.width)
    is_last = False
    while not is_last:
        found, malformed, is_last = _next(lines, text, min(step_rows, schema.max_rows - count + 1))
        numbers = read.at_once(found) if count + len(found) <= schema.max_rows else None
        if numbers is None:
            numbers = read.one_by_one(count, found, faults)
        rows[count : count + len(found)] = numbers
        count += len(found)
        if malformed is not None:
            raise malformed
        yield
    schema.check_count(count)
    schema.check_pixels(rows[:count])
    return rows[:count]


def _next(lines: Iterator[list[str]], text: CsvText, most: int) -> tuple[list[list[str]], MalformedBody | None, bool]:
    """The next rows of a ``text``, the error after them, and whether they are the last ones."""
    found: list[list[str]] = []
    end_chars = text.read_chars + _STEP_CHARS
    try:
        for row in islice(lines, most):
            found.append(row)
            if text.read_chars > end_chars:
                return found, None, False
    except MalformedBody as error:
        return found, error, True
    return found, None, len(found) < most


class CellReader:
    """Reads rows of cells, many at once or one after the other, each cell by its column.

    A row has ``length`` values; ``places`` has that of each feature, None for one that is absent, and is None if they
    are all there, in order.
    """

    def __init__(
        self, schema: Schema, length: int, places: Sequence[int | None] | None, delimiter: str, *, header: bool
    ) -> None:
        self._schema = schema
        self._length = length
        self._places = places
        self._delimiter = delimiter
        self._expected = "as in the header" if header else "the model's features"
        self._is_complete = places is None or None not in places
        self._columnar = schema.of_cells
        if places is not None:
            self._columnar = self._columnar.placed([length if at is None else at for at in places])

    def at_once(self, rows: Sequence[list[str]]) -> NDArray[np.float64] | None:
        """The numbers (rows, features) of rows that all fit the model; None if that has to be found row by row."""
        if set(map(len, rows)) != {self._length}:
            return None
        try:
            return self._columnar.read(rows if self._is_complete else [[*row, ""] for row in rows])
        except (InvalidInput, *Unusual):
            return None

    def one_by_one(self, first: int, rows: Sequence[list[str]], faults: RowFaults | None) -> NDArray[np.float64]:
        """The same for any rows, from index ``first`` on; bad ones are zeros if they are added to ``faults``."""
        numbers = np.zeros((len(rows), self._schema.width))
        for index, values in enumerate(rows):
            if first + index == self._schema.max_rows:
                detail = f"there are more than {self._schema.max_rows} rows, the most that are accepted"
                raise InvalidInput(Fault(f"{detail}; send several requests"))
            try:
                numbers[index] = self(first + index, values)
            except InvalidInput as error:
                if faults is None:
                    raise self.with_others(first + index, values, error) from None
                if not faults.full:
                    error = self.with_others(first + index, values, error, with_hints=faults.has_hints)
                faults.add(first + index, error)
        return numbers

    def __call__(self, index: int, values: list[str]) -> list[float]:
        """The numbers of row ``index``. Raises `InvalidInput`."""
        if len(values) != self._length:
            count = f"{len(values)} value{'s' * (len(values) != 1)}"
            detail = f"row {index} has {count}, expected {self._length} {self._expected}"
            remedy = f"they are separated by {self._delimiter!r}, and quoted if they contain it"
            raise InvalidInput(Fault(f"{detail}; {remedy}", row=index))
        cells = zip(self._schema.columns, self._cells(values), strict=True)
        return [column.cell(index, cell) for column, cell in cells]

    def with_others(
        self, index: int, values: list[str], error: InvalidInput, *, with_hints: bool = True
    ) -> InvalidInput:
        """The ``error`` of row ``index``, with all others of the row, unless it is an image."""
        if self._schema.brightest is not None or len(values) != self._length:
            return error
        cells = zip(self._schema.columns, self._cells(values), strict=True)
        return of_row(errors_of(partial(column.cell, index, cell) for column, cell in cells), with_hints=with_hints)

    def _cells(self, values: list[str]) -> list[str]:
        return values if self._places is None else ["" if at is None else values[at] for at in self._places]


def _names(lines: Iterator[list[str]], schema: Schema, *, ignore_unknown: bool) -> list[str]:
    names = [strip(name) for name in next(lines, [])]
    if not names:
        raise InvalidInput(Fault("the body is empty, expected a line of column names and one or more rows"))
    if "" in names and not ignore_unknown and "" not in schema.ignored:
        raise InvalidInput(Fault(f"column {names.index('') + 1} of the header has no name; {_NO_INDEX}"))
    return names


def _is_header(values: Sequence[str], schema: Schema) -> bool:
    """Whether more than half of the first line's ``values`` are different names of columns, with one of a feature."""
    names = {strip(value) for value in values}
    known = names & schema.names.keys()
    return bool(known) and 2 * len(known | (names & schema.ignored)) > len(values)


def _has_header(options: RowOptions, default: bool | None) -> bool | None:
    said = options.parameters.get(b"header")
    if said is None:
        return default
    said = said.lower()
    if said not in _HEADERS:
        shown = said[:60].decode("latin-1")
        raise UnsupportedMedia(f"header is {shown!r} in the content-type, expected present or absent")
    return _HEADERS[said]


def _decode(body: bytes, options: RowOptions, schema: Schema) -> Steps[DecodedRows]:
    return _decoded(body, options, schema, detect=False)


def _decode_detecting(body: bytes, options: RowOptions, schema: Schema) -> Steps[DecodedRows]:
    return _decoded(body, options, schema, detect=True)


def _decoded(body: bytes, options: RowOptions, schema: Schema, *, detect: bool) -> Steps[DecodedRows]:
    if not options.by_row:
        return rows_from_csv(body, options, schema, detect=detect)
    faults = RowFaults()
    return steps_with_faults(rows_from_csv(body, options, schema, faults, detect=detect), faults)


def _describe(models: Sequence[Model]) -> MediaObject:
    return _described(
        models, "a line of column names, in any order, and one line a row; with header=absent all values in order"
    )


def _describe_detecting(models: Sequence[Model]) -> MediaObject:
    return _described(
        models,
        "one line a row; the first line has the names of the columns, in any order, if more than half of its values "
        "are names of features, and otherwise all lines have all values in order",
    )


def _described(models: Sequence[Model], described: str) -> MediaObject:
    examples = {model.manifest.name: {"value": _example(model)} for model in models if len(model.schema.shape) == 1}
    return {"schema": {"type": "string", "minLength": 1, "description": described}} | (
        {"examples": examples} if examples else {}
    )


def _example(model: Model) -> str:
    """The model's example as CSV."""
    (row,) = json.loads(model.example)["inputs"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((model.schema.names, row.values() if isinstance(row, dict) else row))
    return text.getvalue()


CODEC: Final = Codec((b"text/csv",), _decode, _describe, is_text=True)
# The same for clients that send rows with or without a header, and do not say which.
DETECTING: Final = Codec((b"text/csv",), _decode_detecting, _describe_detecting, is_text=True)
