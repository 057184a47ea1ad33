"""CSV and TSV: the server's rules for cells, also compressed. Kept columns are strings, as they stand in the file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyarrow import compute, csv

from service.cells import name_of
from service.errors import InvalidInput, MalformedBody
from service.http.codecs.csv_rows import CellReader
from service.http.codecs.csv_text import CsvText
from service.models.command import CommandError
from service.scoring.faults import ChunkFaults
from service.scoring.places import Place
from service.scoring.readers.pieces import Piece, pieces, whole_rows
from service.scoring.readers.source import Position, Read, Wanted
from service.scoring.readers.table_batch import record_batch
from service.scoring.readers.table_numbers import TableNumbers

SUFFIXES: Final = (".csv", ".tsv", ".txt", ".tab", ".data")
_LONGEST_BYTES: Final = 2**26


class DelimitedFile:
    """A text table with a header. Raises `CommandError`, and `InvalidInput` if a feature has no column."""

    def __init__(self, place: Place, wanted: Wanted) -> None:
        self._place = place
        self._wanted = wanted
        self._names, self.delimiter = _header(place)
        self.numbers = TableNumbers.of_cells(self._names, wanted)
        kept = wanted.kept(self._names, place.shown)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in kept])
        self.kept = [self._names.index(name) for name in kept]
        self.total = place.size_bytes()

    def chunks(self, done: Position) -> Iterator[TextChunk]:
        """The chunks after the first ``done.chunks``; the first chunk has the header, too."""
        for index, piece in enumerate(pieces(self._place, whole_rows(self.delimiter))):
            if index >= done.chunks:
                yield TextChunk(self, piece, has_header=index == 0)

    @property
    def shown(self) -> str:
        """The file's name."""
        return self._place.shown

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self._names)

    def cell_reader(self) -> CellReader:
        """The server's reader of a row, which explains what is wrong with it."""
        schema = self._wanted.schema
        places = {name: at for at, name in enumerate(self._names)}
        found = [places.get(column.name) for column in schema.columns]
        return CellReader(schema, self.width, found, self.delimiter, header=True)


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Whole rows of a text table."""

    table: DelimitedFile
    piece: Piece
    has_header: bool

    @property
    def file(self) -> str:
        """The file's name."""
        return self.table.shown

    @property
    def amount(self) -> int:
        """How many bytes these rows took."""
        return self.piece.amount

    def read(self) -> Read:
        """The rows; see `Chunk`."""
        faults, of_cells = ChunkFaults(), ChunkFaults()
        columns = _columns(self.piece.content, self.table) if self.piece.is_whole and not self.has_header else None
        if columns is None:
            columns = self._read_row_by_row(faults)
        rows = len(columns[0])
        cells = [compute.fill_null(column, "") for column in columns] if faults else columns
        inputs = self.table.numbers(cells, rows, of_cells)
        for row, fault in zip(of_cells.rows(), of_cells.faults(), strict=True):
            if row not in faults:  # of another length, which is the reason for all else
                faults.add(row, InvalidInput(fault))
        kept = record_batch([columns[at] for at in self.table.kept], self.table.schema, rows)
        return Read(inputs, kept, faults)

    def _read_row_by_row(self, faults: ChunkFaults) -> list[Any]:
        """The columns, as the server reads a text. Rows of another length are filled with nulls, or cut."""
        table = self.table
        rows = self._rows()
        if self.has_header:
            next(rows, None)
        check, width = table.cell_reader(), table.width
        found: list[Sequence[str | None]] = []
        for values in rows:
            if len(values) != width:
                try:
                    check(len(found), values)
                except InvalidInput as error:
                    faults.add(len(found), error)
            found.append(values if len(values) == width else [*values[:width], *[None] * (width - len(values))])
        columns = zip(*found, strict=True) if found else [()] * width
        return [pa.array(column, pa.string()) for column in columns]

    def _rows(self) -> Iterator[list[str]]:
        try:
            yield from CsvText(self.piece.content, _LONGEST_BYTES, delimiter=self.table.delimiter)
        except MalformedBody as error:
            detail = str(error).replace("the body", f"its part from byte {self.piece.start:,} on", 1)
            raise CommandError(f"{self.file} is not CSV in UTF-8: {detail}; write it again") from error


def _header(place: Place) -> tuple[list[str], str]:
    """The names of the columns, and what stands between the values. Raises `CommandError` if there are none."""
    for piece in pieces(place, whole_rows(",")):
        try:
            text = CsvText(piece.content, _LONGEST_BYTES)
            names = [name_of(name) for name in next(text, [])]
        except MalformedBody as error:
            detail = str(error).replace("the body", "it", 1)
            raise CommandError(f"{place.shown} is no table: {detail}; write it as CSV in UTF-8") from error
        if names:
            return names, text.delimiter
    raise CommandError(f"{place.shown} is empty, expected a line of column names and one for each row")


def _columns(content: bytes, table: DelimitedFile) -> list[Any] | None:
    """The columns of whole rows as arrays of strings; None if they have to be read row by row."""
    names = [str(at) for at in range(table.width)]
    try:
        found = csv.read_csv(
            io.BytesIO(content),
            csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
            csv.ParseOptions(delimiter=table.delimiter, newlines_in_values=b'"' in content),
            csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        )
    except pa.ArrowInvalid:
        return None
    return [_one_array(column) for column in found.columns]


def _one_array(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], pa.string())])
