"""A CSV or Parquet file as an Arrow table, strictly: what is ragged, garbled or named twice is refused.

Arrow alone among the readers of CSV refuses a row that is too short; others fill it up with missing values.
https://arrow.apache.org/docs/python/csv.html
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from training.errors import DataError

SUFFIXES: Final = (".csv", ".tsv", ".parquet")
_DELIMITERS: Final = ",;\t|"


def read(path: Path) -> tuple[pa.Table, str]:
    """The table in the file, with one row or more and names that differ, and the file's SHA-256. Raises `DataError`.

    The columns of a CSV file are texts exactly as they stand, whatever they look like.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if not content.strip():
        raise DataError(f"{path} is empty, expected a table with a header")
    table = _parquet(path, content) if has_types(path) else _csv(path, content)
    names = [name.strip() for name in table.column_names]
    _check_names(path, names)
    if not table.num_rows:
        raise DataError(f"{path} has a header and no rows; bring more rows")
    return pa.table([_plain(array) for array in table.columns], names), hashlib.sha256(content).hexdigest()


def has_types(path: Path) -> bool:
    """Whether the file itself says what its columns hold."""
    return path.suffix.lower() == ".parquet"


def _parquet(path: Path, content: bytes) -> pa.Table:
    try:
        table = parquet.read_table(pa.BufferReader(content))
        table.validate(full=True)  # texts that are not UTF-8, and lengths that do not fit
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a Parquet file, or a damaged one: {_first_line(error)}") from error
    # The index of a frame that has no name for it is no column of the frame, and no client sends it.
    return table.drop_columns([name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)])


def _plain(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """One way to say a thing: values, not codes as in pandas' categories; null, not NaN; one type of text."""
    kinds = pa.types
    plain = array.cast(array.type.value_type) if kinds.is_dictionary(array.type) else array
    if kinds.is_large_string(plain.type) or kinds.is_string_view(plain.type):
        return plain.cast(pa.string())
    if kinds.is_floating(plain.type):
        numbers = plain.cast(pa.float32()) if kinds.is_float16(plain.type) else plain
        return pc.if_else(pc.is_nan(numbers), None, numbers)
    return plain


def _csv(path: Path, content: bytes) -> pa.Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8: line {line} has the byte {content[error.start]:#04x}; save it as UTF-8"
        ) from error
    if text.count('"') % 2:
        raise DataError(f'{path} has an odd number of double quotes, so one is not closed; write one in a text as ""')
    header = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        return _texts(content, delimiter, len(_header(text, delimiter)))
    except (pa.ArrowException, OSError, csv.Error) as error:
        raise _ragged(path, text, delimiter) or DataError(f"{path} is not a CSV file: {_first_line(error)}") from error


def _texts(content: bytes, delimiter: str, width: int) -> pa.Table:
    """All columns as texts, not one of them null: the header is read as a row, so that no name has a say in it."""
    types = dict.fromkeys((f"f{place}" for place in range(width)), pa.string())
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(autogenerate_column_names=True),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    )
    if table.num_columns > width:  # Arrow and the standard library do not agree on each header with odd quotes
        return _texts(content, delimiter, table.num_columns)
    return table.slice(1).rename_columns([column[0].as_py() for column in table.columns])


def _header(text: str, delimiter: str) -> list[str]:
    lines = (match.group() for match in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text))  # no copy of them all
    return next(row for row in csv.reader(lines, delimiter=delimiter) if row)


def _ragged(path: Path, text: str, delimiter: str) -> DataError | None:
    """The first row whose length is not the header's; Arrow counts rows, and this the file's lines."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(row for row in rows if row)
        for row in rows:
            if row and len(row) != len(header):
                remedy = f"mend the line, or put quotes around a value that holds {delimiter!r}"
                if row[0].startswith("#") or header[0].startswith("#"):
                    remedy = "take out the lines that begin with '#', which are no part of a table"
                return DataError(
                    f"{path}, line {rows.line_num}: {len(row)} value{'s' * (len(row) != 1)}, expected {len(header)} as "
                    f"in the header (separated by {delimiter!r}); {remedy}"
                )
    except csv.Error:
        pass  # what Arrow said will do
    return None


def _check_names(path: Path, names: list[str]) -> None:
    for place, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"{path}: column {place} has no name; give it one, or write the file without it "
                "(pandas writes an index unless told index=False)"
            )
        if not name.isprintable():
            raise DataError(
                f"{path}: the name of column {place}, {name!r:.60}, holds a character that cannot be printed, and "
                "clients could hardly send it; rename the column"
            )
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path} has {times} columns with the name {name!r}; rename them, as clients send rows by name")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
