"""JSON Lines: an object a line, read as the server reads rows by feature name."""

from __future__ import annotations

import io
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

SUFFIXES: Final = (".jsonl", ".ndjson", ".json")
_BOM: Final = b"\xef\xbb\xbf"


class JsonLines:
    """A file of objects. The types of the kept columns are those of all rows: the file is read once to find them.

    Raises `CommandError` if a column has values of types that no column can hold together.
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
    schemas: dict[Any, None] = {}
    for piece in pieces(place, whole_lines):
        objects = list(filter(None, map(_parsed, _lines(piece.content))))
        names = dict.fromkeys(name for each in objects for name in each)
        schemas[pa.schema([(name, _array(place.shown, name, objects).type) for name in names])] = None
    try:
        return pa.unify_schemas(list(schemas) or [pa.schema([])], promote_options="permissive")
    except pa.ArrowException as error:
        raise _mixed(place.shown, str(error).partition("\n")[0]) from error


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None  # its row has a fault
    return found if isinstance(found, dict) else None


def _array(shown: str, name: str, objects: Sequence[dict[str, Any]], kind: Any = None) -> Any:
    try:
        return pa.array([each.get(name) for each in objects], kind)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise _mixed(shown, f"{name!r:.60}: {error}".partition("\n")[0]) from error


def _mixed(shown: str, reason: str) -> CommandError:
    detail = f"{shown} has values in one column that no type holds together ({reason:.200})"
    return CommandError(f"{detail}; choose other columns with --keep, or none with --keep alone")
