"""JSON Lines: an object a line, read as the server reads rows by feature name."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from service.errors import Fault, InvalidInput, MalformedBody
from service.http.codecs.json_row import RowReader
from service.http.codecs.json_text import DECODER
from service.inference.columns import type_name
from service.inference.row_faults import RowFaults
from service.models.command import CommandError
from service.scoring.faults import ChunkFaults
from service.scoring.places import Place
from service.scoring.readers.pieces import Piece, pieces, whole_lines
from service.scoring.readers.source import Position, Read, Wanted
from service.scoring.readers.table_batch import record_batch

SUFFIXES: Final = (".jsonl", ".ndjson")
_BOM: Final = b"\xef\xbb\xbf"
_TEXT: Final = pa.string()


class JsonLines:
    """A file of objects. The types of the kept columns are those of all rows: the file is read once to find them.

    A column whose values no type holds together, such as numbers and strings, is kept as text.
    """

    def __init__(self, place: Place, wanted: Wanted) -> None:
        self._place = place
        self.wanted = wanted
        found = pa.schema([])
        if wanted.keep != ():
            found = _types(place)
        self.schema = pa.schema([found.field(name) for name in wanted.kept(found.names, place.shown)])
        self.total = place.size_bytes()

    def chunks(self, done: Position) -> Iterator[LinesChunk]:
        """The chunks after the first ``done.chunks``."""
        for index, piece in enumerate(pieces(self._place, whole_lines)):
            if index >= done.chunks:
                yield LinesChunk(self, piece)

    @property
    def shown(self) -> str:
        """The file's name."""
        return self._place.shown


@dataclass(frozen=True, slots=True)
class LinesChunk:
    """Whole lines."""

    source: JsonLines
    piece: Piece

    @property
    def file(self) -> str:
        """The file's name."""
        return self.source.shown

    @property
    def amount(self) -> int:
        """How many bytes these rows took."""
        return self.piece.amount

    def read(self) -> Read:
        """The rows; see `Chunk`."""
        faults, wanted = ChunkFaults(), self.source.wanted
        reader = RowReader(wanted.schema, ignore_unknown=True, faults=faults)
        objects = [_object(row, line, faults) for row, line in enumerate(_lines(self.piece.content))]
        inputs = np.zeros((len(objects), wanted.schema.width), wanted.dtype)
        for row, each in enumerate(objects):
            if row not in faults:
                inputs[row] = reader.numbers(row, each)
        wanted.schema.check_pixels(inputs)
        arrays = [_array(self.file, field.name, objects, field.type) for field in self.source.schema]
        return Read(inputs, record_batch(arrays, self.source.schema, len(objects)), faults)


def _lines(content: bytes) -> Iterator[bytes]:
    return (line for line in io.BytesIO(content.removeprefix(_BOM)) if not line.isspace())


def _object(row: int, line: bytes, faults: RowFaults) -> dict[str, Any]:
    """The object of a line; an empty one if it is none, which is noted."""
    try:
        found = DECODER.decode(line.decode())
    except (ValueError, RecursionError, MalformedBody) as error:
        faults.add(row, InvalidInput(Fault(f"row {row} is not JSON: {error!s:.100}", row)))
        return {}
    if not isinstance(found, dict):
        faults.add(
            row, InvalidInput(Fault(f"row {row} is {type_name(found)}, expected an object by feature name", row))
        )
        return {}
    return found


def _types(place: Place) -> Any:
    """The columns in all lines, with a type that holds all their values."""
    found: dict[str, Any] = {}
    for piece in pieces(place, whole_lines):
        objects = list(filter(None, map(_parsed, _lines(piece.content))))
        for name in dict.fromkeys(name for each in objects for name in each):
            kind = _type([each.get(name) for each in objects])
            found[name] = _common(found[name], kind) if name in found else kind
    return pa.schema(list(found.items()))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = _object(0, line, ChunkFaults())  # which takes a little more, such as NaN
    return found if isinstance(found, dict) else None


def _type(values: list[Any]) -> Any:
    try:
        return pa.array(values).type
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _TEXT


def _common(one: Any, other: Any) -> Any:
    try:
        schemas = [pa.schema([("", kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return _TEXT


def _array(shown: str, name: str, objects: Sequence[dict[str, Any]], kind: Any) -> Any:
    values = [each.get(name) for each in objects]
    if kind == _TEXT:
        values = [each if each is None or isinstance(each, str) else json.dumps(each) for each in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        detail = f"{shown}: a value of column {name!r:.60} cannot be kept ({error!s:.100})"
        raise CommandError(f"{detail}; choose other columns with --keep, or none with --keep alone") from error
