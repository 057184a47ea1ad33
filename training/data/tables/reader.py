"""Read a CSV or Parquet file into an Arrow table; reject ragged rows, broken encodings and duplicate names.

Arrow is the only CSV reader that rejects short rows; others fill them with missing values.
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

from training.data.tables.frames import Frame
from training.errors import DataError

SUFFIXES: Final = (".csv", ".tsv", ".parquet")
_DELIMITERS: Final = ",;\t|"


def read(path: Path | Frame) -> tuple[pa.Table, str]:
    """Return the table, with at least one row and unique column names, and the SHA-256 of the file or frame.

    All columns of a CSV file are strings, exactly as in the file. Raises `DataError`.
    """
    if isinstance(path, Frame):
        return _normalised(path, path.table), path.digest
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if not content.strip():
        raise DataError(f"{path} is empty, expected a table with a header")
    table = _read_parquet(path, content) if has_types(path) else _read_csv(path, content)
    return _normalised(path, table), hashlib.sha256(content).hexdigest()


def _normalised(source: Path | Frame, table: pa.Table) -> pa.Table:
    names = [name.strip() for name in table.column_names]
    _check_names(source, names)
    if not table.num_rows:
        raise DataError(f"{source} has a header but no rows; add rows")
    return pa.table([_normalise(array) for array in table.columns], names)


def has_types(path: Path | Frame) -> bool:
    """Return whether columns have types before they are read."""
    return isinstance(path, Frame) or path.suffix.lower() == ".parquet"


def _read_parquet(path: Path, content: bytes) -> pa.Table:
    try:
        table = parquet.read_table(pa.BufferReader(content))
        table.validate(full=True)  # strings are UTF-8, lengths match
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged or not a Parquet file: {_first_line(error)}") from error
    # pandas stores an unnamed index as a column; clients do not send it.
    return table.drop_columns([name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)])


def _normalise(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Normalise: values instead of dictionary codes, null instead of NaN, one string type, float32 for float16."""
    types = pa.types
    plain = array.cast(array.type.value_type) if types.is_dictionary(array.type) else array
    if types.is_large_string(plain.type) or types.is_string_view(plain.type):
        return plain.cast(pa.string())
    if types.is_floating(plain.type):
        numbers = plain.cast(pa.float32()) if types.is_float16(plain.type) else plain
        return pc.if_else(pc.is_nan(numbers), None, numbers)
    return plain


def _read_csv(path: Path, content: bytes) -> pa.Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8: line {line} has the byte {content[error.start]:#04x}; save it as UTF-8"
        ) from error
    if text.count('"') % 2:
        raise DataError(f'{path} has an odd number of double quotes; write one inside a quoted value as ""')
    header = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    delimiter = max(_DELIMITERS, key=header.count)
    try:
        return _parse(content, delimiter, len(_header(text, delimiter)))
    except (pa.ArrowException, OSError, csv.Error) as error:
        raise _ragged_row(path, text, delimiter) or DataError(
            f"{path} is not a CSV file: {_first_line(error)}"
        ) from error


def _parse(content: bytes, delimiter: str, width: int) -> pa.Table:
    """Parse all columns as strings without nulls; the header is read as a row, so names need not be unique."""
    types = dict.fromkeys((f"f{index}" for index in range(width)), pa.string())
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(autogenerate_column_names=True),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types, strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    )
    if table.num_columns > width:  # Arrow and csv disagree on some headers with odd quotes
        return _parse(content, delimiter, table.num_columns)
    return table.slice(1).rename_columns([column[0].as_py() for column in table.columns])


def _header(text: str, delimiter: str) -> list[str]:
    lines = (match.group() for match in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text))  # lazily
    return next(row for row in csv.reader(lines, delimiter=delimiter) if row)


def _ragged_row(path: Path, text: str, delimiter: str) -> DataError | None:
    """Return an error for the first row whose length differs from the header's, with its line number."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(row for row in rows if row)
        for row in rows:
            if row and len(row) != len(header):
                remedy = f"correct the line, or quote values that contain {delimiter!r}"
                if row[0].startswith("#") or header[0].startswith("#"):
                    remedy = "remove lines that begin with '#'"
                return DataError(
                    f"{path}, line {rows.line_num}: {len(row)} value{'s' * (len(row) != 1)}, expected {len(header)} as "
                    f"in the header (separated by {delimiter!r}); {remedy}"
                )
    except csv.Error:
        pass  # Arrow's own message is used
    return None


def _check_names(path: Path | Frame, names: list[str]) -> None:
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"{path}: column {number} has no name; name it, or write the file without it (in pandas: index=False)"
            )
        if not name.isprintable():
            raise DataError(
                f"{path}: the name of column {number}, {name!r:.60}, has an unprintable character; rename the column"
            )
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"{path} has {times} columns named {name!r}; rename them, clients send values by name")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
