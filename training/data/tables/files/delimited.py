"""Text files: CSV with any usual delimiter, and columns separated by blanks.

Arrow is the only CSV reader that rejects short rows; others fill them with missing values.
https://arrow.apache.org/docs/python/csv.html
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from mmap import mmap
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import csv as arrow_csv

from training.data.tables.files import encodings, foreign, header, mapped, ruled, spilled
from training.data.tables.files.content import Content
from training.errors import DataError

DELIMITERS: Final = ",;\t|"
_BLANKS: Final = " "  # any number of blanks
_SAMPLE_BYTES: Final = 2**18
_SAMPLE_ROWS: Final = 200
_BLOCK_BYTES: Final = 2**21  # Arrow reads up to 32 of them ahead
_LINE: Final = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_COMMENT: Final = re.compile(rb"(?m)^#[^\r\n]*(?:\r\n|\r|\n|$)")
_OPENS: Final = re.compile(r'(?:^|\s)"[^"]+$')
_CLOSES: Final = re.compile(r'[^"]+"(?:\s|$)')
_MAX_FOOTER: Final = 10  # lines
_MAX_SHOWN: Final = 60

Text = bytes | memoryview


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the sample: its cells, where it starts and ends in the content, and its line in the file."""

    cells: list[str]
    start: int
    end: int
    line: int


def read(path: Path, content: bytes | mmap, known_names: Collection[str] = ()) -> Content:
    """Return all columns as strings without nulls, exactly as in the file. Raises `DataError`.

    ``known_names`` are names of columns that the user gave; a first row with one of them is a header.
    """
    foreign.check(path, content[: foreign.HEAD_BYTES])
    text, notes = encodings.to_utf8(path, content)
    if (plain := ruled.without_rules(text)) is not None:
        text, notes = plain, [*notes, "the lines of dashes around the table are skipped"]
    delimiter = _delimiter(text)
    if _count(text, b'"') % 2 and (line := _open_quote(text, delimiter)):
        raise DataError(
            f"{path}, line {line}: a double quote begins a value and none ends it; add one, or write one inside a "
            'quoted value as ""'
        )
    text, comments = _without_comments(text, delimiter)
    notes += comments
    rows = list(_sample(text, delimiter))
    at = header.skip_titles([row.cells for row in rows], known_names)
    if at:
        shown = " ".join(cell for cell in rows[0].cells if cell)[:_MAX_SHOWN]
        notes.append(f"{at} line{'s' * (at > 1)} before the header {'are' if at > 1 else 'is'} skipped: {shown!r}")
    names, start = rows[at].cells, rows[at].end
    if names[0].startswith("#") and len(names) > 1:
        names = [names[0].removeprefix("#").strip(), *names[1:]]
    if header.is_data([names, *(row.cells for row in rows[at + 1 :])], known_names):
        names, start = [f"column_{number}" for number in range(1, len(names) + 1)], rows[at].start
        notes.append(f"the first row holds values, not names; the columns are named {names[0]} to {names[-1]}")
    body = text[start:]
    if not bytes(body[:_SAMPLE_BYTES]).strip(b"\r\n") and not bytes(body).strip(b"\r\n"):
        return Content(tuple(names), tuple(pa.chunked_array([[]], pa.string()) for _ in names), (False,) * len(names))
    columns, footer = _columns(path, text, start, delimiter, names)
    notes += footer
    if len(columns) == len(names) + 1:
        names = [*names, ""] if _all_empty(columns[-1]) else ["", *names]  # R omits the name of the row names
    return Content(tuple(names), tuple(columns), (False,) * len(names), tuple(notes), delimiter == ";")


def _count(text: Text, part: bytes) -> int:
    if isinstance(text, bytes):
        return text.count(part)
    return sum(bytes(piece).count(part) for piece in mapped.pieces(text))


def _open_quote(text: Text, delimiter: str) -> int | None:
    """Return the line of a quoted value that does not end; None if all do: a mark within a value, 5'10", is none."""
    value = re.compile(rb'(?:\A|[\r\n%b])(")(?:[^"]|"")*+("?)' % re.escape(delimiter.encode()))
    start = next((match.start(1) for match in value.finditer(text) if not match[2]), None)
    return None if start is None else 1 + sum(1 for _ in _LINE_END.finditer(text, 0, start))


def _head(text: Text) -> str:
    """Return whole lines from the start of the text."""
    head = bytes(text[:_SAMPLE_BYTES])
    end = max(head.rfind(b"\n"), head.rfind(b"\r"))
    return (head if len(text) <= _SAMPLE_BYTES or end < 0 else head[: end + 1]).decode(errors="ignore")


def _split(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == _BLANKS:
        lines = (line.replace("\t", " ").strip(" \r\n") for line in lines)
        return csv.reader(lines, delimiter=" ", skipinitialspace=True)
    return csv.reader(lines, delimiter=delimiter)


def _rows(head: str, delimiter: str) -> list[list[str]]:
    """Return the first rows that are neither empty nor comments; none if the delimiter does not fit."""
    lines = iter(io.StringIO(head, newline=""))
    rows: list[list[str]] = []
    try:
        for row in _split(lines, delimiter):
            if row and not (row[0].startswith("#") and rows):
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    return rows


def _delimiter(text: Text) -> str:
    """Return the delimiter by which the first rows have equal lengths.

    Of several, it is the one with the fewest lines before the header, and then the one with the most columns.
    """
    head = _head(text)
    aligned = re.search(r"\S {2,}\S", head) is not None
    best, key = ",", (-len(head), 0.0, 0)
    for delimiter in (*DELIMITERS, _BLANKS):
        rows = _rows(head, delimiter)
        start = header.skip_titles(rows)
        widths = [len(row) for row in rows[start:]]
        share = header.consistency(widths)
        if delimiter == _BLANKS and not (key[1] == 0 or (aligned and share == 1.0)):
            continue
        if 2 * sum(map(_is_torn, rows)) > len(rows):
            continue
        if share and (-start, round(share, 2), max(widths)) > key:
            best, key = delimiter, (-start, round(share, 2), max(widths))
    return best


def _is_torn(row: list[str]) -> bool:
    """Return whether two cells are halves of a quoted one, as those of ``1 "Law, D" 27`` at the comma."""
    return any(_OPENS.search(first) and _CLOSES.match(second) for first, second in pairwise(row))


def _without_comments(text: Text, delimiter: str) -> tuple[Text, list[str]]:
    """Leave out lines that begin with '#', unless they have as many values as the others or stand in quotes."""
    if bytes(text[:1]) != b"#" and not _has_comments(text):
        return text, []
    rows = _rows(_head(text), delimiter)
    usual = max((len(row) for row in rows), default=1)
    kept, start, quotes, removed = [], 0, 0, 0
    for match in _COMMENT.finditer(text):
        quotes += _count(text[start : match.start()], b'"')
        kept.append(text[start : match.start()])
        start = match.start()
        values = next(_split(iter([match.group().decode(errors="ignore")]), delimiter), [])
        if quotes % 2 == 0 and len(values) != usual:
            start, removed = match.end(), removed + 1
    if not removed:
        return text, []
    plural = removed > 1
    note = f"{removed:,} line{'s' * plural} that begin{'s' * (not plural)} with '#' {'are' if plural else 'is'} skipped"
    return b"".join([*map(bytes, kept), bytes(text[start:])]), [note]


def _has_comments(text: Text) -> bool:
    last = b""
    for piece in mapped.pieces(text):
        block = last + bytes(piece)
        if re.search(rb"[\r\n]#", block):
            return True
        last = block[-1:]
    return False


def _sample(text: Text, delimiter: str) -> Iterator[_Row]:
    """Yield the first rows that are not empty, at least the header."""
    ends, taken = [0], []
    for match in _LINE.finditer(text):
        ends.append(match.end())
        taken.append(match.group().decode(errors="ignore"))
        if match.end() > _SAMPLE_BYTES and len(taken) > 1:
            break
    reader = csv.reader(taken, delimiter=delimiter)
    if delimiter == _BLANKS:
        reader = csv.reader(
            [line.replace("\t", " ").strip(" \r\n") for line in taken], delimiter=" ", skipinitialspace=True
        )
    found, line = 0, 0
    for cells in reader:
        if cells:
            yield _Row(cells, ends[line], ends[reader.line_num], line + 1)
            found += 1
        line = reader.line_num
        if found == _SAMPLE_ROWS:
            return


def _columns(
    path: Path, text: Text, start: int, delimiter: str, names: Sequence[str]
) -> tuple[list[pa.ChunkedArray], list[str]]:
    """Return the columns of the rows from ``start``, and a note if lines below the table are skipped."""
    if delimiter == _BLANKS:
        return _split_blanks(path, bytes(text[start:]).decode(), names), []
    end = len(text)
    notes: list[str] = []
    for _ in range(2):
        try:
            columns = _parse(text[start:end], delimiter, len(names))
        except (pa.ArrowException, OSError) as error:
            fault = str(error).partition("\n")[0]
        else:
            if 0 <= len(columns) - len(names) <= 1:
                return columns, notes
            fault = f"{len(columns)} columns, expected {len(names)} as in the header"
        kept = _without_footer(text, start, delimiter, len(names))
        if kept == end:
            break
        shown = bytes(text[kept:]).decode(errors="ignore").strip()[:_MAX_SHOWN]
        end, notes = kept, [f"what stands below the table is skipped: {shown!r}"]
    raise _ragged_row(path, text, start, delimiter, names) or DataError(f"{path} is not a CSV file: {fault}")


def _parse(body: Text, delimiter: str, width: int) -> list[pa.ChunkedArray]:
    types = dict.fromkeys((f"f{index}" for index in range(width + 1)), pa.string())
    options = {
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    }
    if mapped.is_mapped(body) and width < spilled.MAX_COLUMNS:
        reading = arrow_csv.ReadOptions(autogenerate_column_names=True, block_size=_BLOCK_BYTES)
        with arrow_csv.open_csv(mapped.source_of(body), read_options=reading, **options) as reader:
            if len(reader.schema) <= width + 1:
                return spilled.columns_of(reader.schema, reader)
    reading = arrow_csv.ReadOptions(autogenerate_column_names=True)
    table = arrow_csv.read_csv(mapped.source_of(body), read_options=reading, **options)
    if table.num_columns > width + 1:
        return _parse(body, delimiter, table.num_columns)
    return list(table.columns)


def _without_footer(text: Text, start: int, delimiter: str, width: int) -> int:
    """Return where the rows end: before lines of one value, such as the source, below a table of several columns."""
    end = len(text)
    for _ in range(_MAX_FOOTER if width > 2 else 0):
        body = bytes(text[max(start, end - _SAMPLE_BYTES) : end]).rstrip()
        at = max(body.rfind(b"\n"), body.rfind(b"\r")) + 1
        values = next(csv.reader([body[at:].decode(errors="ignore")], delimiter=delimiter), [])
        if not at or header.width_of(values) > 1 or len(values) == width:
            break
        end = max(start, end - _SAMPLE_BYTES) + at
    return end


def _split_blanks(path: Path, body: str, names: Sequence[str]) -> list[pa.ChunkedArray]:
    rows = [row for row in _split(iter(body.splitlines()), _BLANKS) if row]
    width = len(rows[0])
    for number, row in enumerate(rows, 1):
        if len(row) != width or not 0 <= width - len(names) <= 1:
            raise DataError(
                f"{path}, row {number} below the header: {len(row)} values, expected {len(names)} as in the header "
                "(separated by blanks); correct the line, or quote values that contain blanks"
            )
    return [pa.chunked_array([pa.array(column, pa.string())]) for column in zip(*rows, strict=True)]


def _ragged_row(path: Path, text: Text, start: int, delimiter: str, names: Sequence[str]) -> DataError | None:
    """Return an error for the first row whose length differs from the header's, with its line number."""
    before = sum(1 for _ in _LINE.finditer(text, 0, start))
    rows = csv.reader(io.StringIO(bytes(text[start:]).decode(), newline=""), delimiter=delimiter)
    try:
        for row in rows:
            if row and len(row) != len(names):
                return DataError(
                    f"{path}, line {before + rows.line_num}: {len(row)} value{'s' * (len(row) != 1)}, expected "
                    f"{len(names)} as in the header (separated by {delimiter!r}); correct the line, or quote values "
                    f"that contain {delimiter!r}"
                )
    except csv.Error:
        pass  # Arrow's own message is used
    return None


def _all_empty(column: pa.ChunkedArray) -> bool:
    return all(not str(value).strip() for value in column.unique().to_pylist())
