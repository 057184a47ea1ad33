"""text/csv: rows with columns by name, or by position; cells are read as training reads those of a file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.cells import NUMBER_MAX_LETTERS, strip
from service.errors import Fault, InvalidInput, UnsupportedMedia
from service.http.codecs import named
from service.http.codecs.codec import Codec, DecodedRows, MediaObject, steps_with_faults
from service.http.codecs.csv_text import CsvText
from service.http.options import RowOptions
from service.inference.model import Model
from service.inference.row_faults import RowFaults, errors_of, of_row
from service.inference.schema import Schema
from service.inference.steps import Steps

_HEADERS: Final = {b"present": True, b"absent": False}
_STEP_VALUES: Final = 1024
_LONGEST_BYTES: Final = 128 * 1024
_LONGEST_VALUE_BYTES: Final = 256
# What `float` and training read alike; an empty value is an error to the one and missing to the other.
_PLAIN: Final = re.compile(r"[-+0-9.eE,]*")
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
    # Pages that are not written take no memory.
    rows = np.empty((min(schema.max_rows, len(body) // max(1, len(names)) + 1), schema.width))
    count, step_rows = 0, max(1, _STEP_VALUES // schema.width)
    for values in lines:
        if count == schema.max_rows:
            detail = f"there are more than {schema.max_rows} rows, the most that are accepted; send several requests"
            raise InvalidInput(Fault(detail))
        try:
            rows[count] = read(count, values)
        except InvalidInput as error:
            if faults is None:
                raise read.with_others(count, values, error) from None
            faults.add(count, error if faults.full else read.with_others(count, values, error))
            rows[count] = 0
        count += 1
        if count % step_rows == 0:
            yield
    schema.check_count(count)
    yield
    schema.check_pixels(rows[:count])
    return rows[:count]


class CellReader:
    """Reads one row after the other: at once if all values are plain numbers, otherwise each by its column.

    A row has ``length`` values; ``places`` has that of each feature, None for one that is absent, and is None if they
    are all there, in order.
    """

    def __init__(
        self, schema: Schema, length: int, places: Sequence[int | None] | None, delimiter: str, *, header: bool
    ) -> None:
        self._columns = schema.columns
        self._is_image = schema.brightest is not None
        self._length = length
        self._places = places
        self._delimiter = delimiter
        self._expected = "as in the header" if header else "the model's features"
        self._lowest = max(column.lowest for column in schema.columns)
        self._highest = min(column.highest for column in schema.columns)
        self._by_float = schema.numeric and all(
            column.cells is None or (column.cells.decimal, column.cells.thousands) == (".", "")
            for column in schema.columns
        )

    def __call__(self, index: int, values: list[str]) -> list[float]:
        """The numbers of row ``index``. Raises `InvalidInput`."""
        if len(values) != self._length:
            count = f"{len(values)} value{'s' * (len(values) != 1)}"
            detail = f"row {index} has {count}, expected {self._length} {self._expected}"
            remedy = f"they are separated by {self._delimiter!r}, and quoted if they contain it"
            raise InvalidInput(Fault(f"{detail}; {remedy}", row=index))
        cells = self._cells(values)
        if self._by_float and (numbers := _plain_numbers(cells)) is not None:  # noqa: SIM102 - one thing after another
            if self._lowest <= min(numbers) and max(numbers) <= self._highest:
                return numbers
        return [column.cell(index, cell) for column, cell in zip(self._columns, cells, strict=True)]

    def with_others(self, index: int, values: list[str], error: InvalidInput) -> InvalidInput:
        """The ``error`` of row ``index``, with all others of the row, unless it is an image."""
        if self._is_image or len(values) != self._length:
            return error
        cells = zip(self._columns, self._cells(values), strict=True)
        return of_row(errors_of(partial(column.cell, index, cell) for column, cell in cells))

    def _cells(self, values: list[str]) -> list[str]:
        return values if self._places is None else ["" if at is None else values[at] for at in self._places]


def _plain_numbers(cells: Sequence[str]) -> list[float] | None:
    """The numbers in ``cells``; None if there is anything else."""
    joined = ",".join(cells)
    if not _PLAIN.fullmatch(joined) or (len(joined) > NUMBER_MAX_LETTERS and max(map(len, cells)) > NUMBER_MAX_LETTERS):
        return None
    try:
        return list(map(float, cells))
    except ValueError:
        return None


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
