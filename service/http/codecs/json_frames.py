"""Tables in JSON as pandas writes them: ``orient="split"`` and, by column, ``orient="columns"`` or lists.

https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.to_json.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http.codecs import fast_json, named
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_text import JsonText, repeated
from service.inference.columnar import Unusual
from service.inference.columns import Column, type_name
from service.inference.row_faults import FirstBadRow, RowFaults
from service.inference.schema import Schema
from service.inference.steps import Steps

COLUMNS: Final = "columns"
DATA: Final = "data"
# What pandas and MLflow write beside them.
_SPLIT_KEYS: Final = frozenset({COLUMNS, DATA, "index", "index_names", "column_names"})
_MOST_KEYS: Final = 100
_STEP_VALUES: Final = 256

# The keys of an object, each with the position of its value in bytes.
Entries = dict[str, int]
# Row labels, such as pandas' index, and the row of each.
_Labels = dict[str, int]
# Reads a list of rows.
ReadRows = Callable[[JsonText, str, RowReader], Steps[NDArray[np.float64]]]


def entries(text: JsonText, reader: RowReader) -> Steps[Entries]:
    """Consume an object; its values are only skipped. Raises `TooLong`."""
    found: Entries = {}
    while (key := (yield from next_key(text, found, reader.schema.most_keys + _MOST_KEYS))) is not None:
        found[key] = yield from position(text)
        yield from skip(text)
    return found


def next_key(text: JsonText, found: Entries, most: int) -> Steps[str | None]:
    """The next key of an object that already has those ``found``; None at the end of the object."""
    if not found:
        yield from text.read("{", "'{'")
        if (yield from text.next()) == "}":
            yield from text.read("}", "'}'")
            return None
    elif not (yield from text.another("}")):
        return None
    if (yield from text.next()) != '"':
        raise text.error("expecting property name enclosed in double quotes")
    key: str = yield from text.value()
    if key in found:
        raise repeated(key)
    if len(found) == most:
        raise InvalidInput(Fault(f"an object of the body has more than {most} keys; send the rows alone"))
    yield from text.read(":", "':' delimiter")
    return key


def position(text: JsonText) -> Steps[int]:
    """Where the next value begins, in bytes."""
    yield from text.next()
    return text.at_byte


def skip(text: JsonText) -> Steps[None]:
    """Consume a value; the elements of a list or object may be long together. Raises `TooLong`."""
    opening = yield from text.next()
    if opening not in ("[", "{"):
        yield from text.value()
        return
    end = "]" if opening == "[" else "}"
    yield from text.read(opening, opening)
    if (yield from text.next()) == end:
        yield from text.read(end, end)
        return
    count, more = 0, True
    while more:
        if opening == "{":
            if (yield from text.next()) != '"':
                raise text.error("expecting property name enclosed in double quotes")
            yield from text.value()
            yield from text.read(":", "':' delimiter")
        yield from text.value()
        text.part_at_hand(opening + end, fast_json.decoded_text)
        more = yield from text.another(end)
        count += 1
        if count % _STEP_VALUES == 0:
            yield


def is_split(found: Entries, reader: RowReader) -> bool:
    """Whether an object with these keys is a table in ``orient="split"``, rather than one by feature name."""
    return COLUMNS in found and DATA in found and reader.schema.names.keys().isdisjoint((COLUMNS, DATA))


def table_at_once(table: dict[str, Any], reader: RowReader, *, split: bool = False) -> NDArray[np.float64] | None:
    """The rows of a small parsed table, or of one row by feature name; None if it needs to be read in steps.

    A table in ``orient="split"`` is one if ``split``, or by its keys. Raises `InvalidInput` as the steps do, and
    `LookupError`, `TypeError` or `ValueError` for what is no table.
    """
    if len(table) > reader.schema.most_keys + _MOST_KEYS:
        return None
    if split or is_split(cast("Entries", table), reader):
        names = table[COLUMNS]
        if type(names) is not list or set(map(type, names)) != {str}:
            return None
        places = named.positions(names, reader.schema, ignore_unknown=reader.ignore_unknown)
        return reader.placed(places, len(names)).at_once(table[DATA])
    if not table.keys() <= reader.schema.names.keys():
        table = named.renamed(table, reader.schema)
    values = [table[name] for name in reader.schema.names if name in table]
    if type(values[0]) is not list and type(values[0]) is not dict:
        return reader.at_once([table])
    named.check_names(table, reader.schema, "the table", None, ignore_unknown=reader.ignore_unknown)
    return _columns_at_once(table, values, reader.schema)


def _columns_at_once(table: dict[str, Any], values: list[Any], schema: Schema) -> NDArray[np.float64] | None:
    """The rows of a table by column, with these ``values`` of the columns that are there."""
    if {type(each) for each in values} != {type(values[0])}:
        return None
    by_name = table
    if type(values[0]) is dict:
        labels = list(values[0])
        if any(list(each) != labels for each in values):
            return None
        by_name = {name: list(table[name].values()) for name in schema.names if name in table}
    absent = [None] * len(values[0])
    columns = [by_name.get(name, absent) for name in schema.names]
    return schema.by_position.read(list(zip(*columns, strict=True)))


def split_rows(text: JsonText, found: Entries, reader: RowReader, read_rows: ReadRows) -> Steps[NDArray[np.float64]]:
    """The rows of an object with ``columns`` and ``data``."""
    for key in (COLUMNS, DATA):
        if key not in found:
            raise InvalidInput(Fault(f"the table has no key {key!r}, expected {COLUMNS!r} and {DATA!r}"))
    text.seek(found[COLUMNS])
    names = yield from text.value()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(Fault(f"'columns' is {type_name(names)}, expected a list of feature names"))
    places = named.positions(names, reader.schema, ignore_unknown=reader.ignore_unknown)
    text.seek(found[DATA])
    return (yield from read_rows(text, DATA, reader.placed(places, len(names))))


def column_rows(text: JsonText, found: Entries, reader: RowReader) -> Steps[NDArray[np.float64]]:
    """The rows of an object that has a list of values for each feature, or an object by row label."""
    schema = reader.schema
    named.check_names(found, schema, "the table", None, ignore_unknown=reader.ignore_unknown)
    first = FirstBadRow()
    faults = first if reader.faults is None else reader.faults
    labels: _Labels | None = None
    rows = np.empty((0, schema.width))
    for index, column in enumerate(schema.columns):
        if column.name in found:
            text.seek(found[column.name])
            here, numbers = yield from _column(text, index, labels, schema, faults)
            if labels is None:
                labels, rows = here, np.full((len(numbers), schema.width), np.nan)
            elif len(numbers) != len(rows):
                detail = f"feature {column.name!r} has {len(numbers)} values, expected {len(rows)} as the one before"
                raise InvalidInput(Fault(detail, feature=column.name))
            rows[list(here.values()) if here else slice(None), index] = numbers
    first.check()
    if reader.faults:
        rows[reader.faults.rows()] = 0
    return rows


def _column(
    text: JsonText, index: int, labels: _Labels | None, schema: Schema, faults: RowFaults | FirstBadRow
) -> Steps[tuple[_Labels, list[float]]]:
    """The labels of a column's values, with the row of each, and the values' numbers. A list has no labels.

    ``labels`` are those of the columns before it; None for the first one. Bad values are 0, and in ``faults``.
    """
    column = schema.columns[index]
    opening = yield from text.next()
    if opening not in ("[", "{"):
        value = yield from text.value()
        detail = f"feature {column.name!r} is {type_name(value)}, expected the values of all rows as of other features"
        raise InvalidInput(Fault(detail, feature=column.name))
    end = "]" if opening == "[" else "}"
    yield from text.read(opening, opening)
    here: _Labels = {}
    numbers: list[float] = []
    more = (yield from text.next()) != end
    if not more:
        yield from text.read(end, end)
    while more:
        row = len(numbers)
        if row == schema.max_rows:
            schema.check_count(row + 1)
        if opening == "{":
            row = yield from _label(text, column, here, labels)
        numbers.append(_number(row, (yield from text.value()), column, faults))
        part = text.part_at_hand(opening + end)
        if len(numbers) + len(part) > schema.max_rows:
            schema.check_count(len(numbers) + len(part))
        first = len(numbers)
        if opening == "[":
            places: Sequence[int] = range(first, first + len(part))
        else:
            places, part = [_row_of(label, column, here, labels) for label in part], [*part.values()]
        try:
            numbers += schema.by_position.read_column(index, part)
        except (InvalidInput, *Unusual):
            numbers += [_number(row, value, column, faults) for row, value in zip(places, part, strict=True)]
        more = yield from text.another(end)
        yield
    return here, numbers


def _label(text: JsonText, column: Column, here: _Labels, labels: _Labels | None) -> Steps[int]:
    """Consume the label of a value, add it to those ``here``, and return its row."""
    label = yield from text.value()
    yield from text.read(":", "':' delimiter")
    return _row_of(label, column, here, labels)


def _row_of(label: str, column: Column, here: _Labels, labels: _Labels | None) -> int:
    if label in here:
        raise repeated(label)
    row = len(here) if labels is None else labels.get(label)
    if row is None:
        detail = f"feature {column.name!r} has a value for row {label!r:.60}, which the features before it do not have"
        raise InvalidInput(Fault(detail, feature=column.name))
    here[label] = row
    return row


def _number(row: int, value: object, column: Column, faults: RowFaults | FirstBadRow) -> float:
    if faults.skips(row):
        return 0.0
    try:
        return column.number(row, value)
    except InvalidInput as error:
        faults.add(row, error)
        return 0.0
