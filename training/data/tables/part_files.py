"""Read the table and the files of --validation and --test, and join them to one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data.dataset import TEST, VALIDATION
from training.data.tables import columns, reader
from training.data.tables.frames import Frame
from training.data.tables.options import TableOptions
from training.errors import DataError, joined

_CODES: Final = {"validation": VALIDATION, "test": TEST}


@dataclass(frozen=True, slots=True)
class Files:
    """The rows of all files.

    ``table`` has the columns of the first file, in its order. ``parts`` int8 (rows,) are as in `Division.parts`, all
    `REST` for the first file; ``given`` names the other files as `Division.given` does. ``digest`` is the SHA-256 of
    the file, or of each file by name. ``counts`` are the rows of each file, by the path as the user gave it.
    """

    table: pa.Table
    parts: NDArray[np.int8]
    digest: str | Mapping[str, str]
    counts: Mapping[Path | Frame, int]
    given: Mapping[str, str] = field(default_factory=dict)

    def located(self, message: str) -> str:
        """``message`` with the row of the joined table that it names replaced by the row of a file."""
        return re.sub(r"row (\d+) below the header", lambda match: self._row(int(match[1])), message)

    def _row(self, number: int) -> str:
        where = ""
        for index, (path, count) in enumerate(self.counts.items()):
            where = f" of {path}" if index else ""
            if number <= count:
                break
            number -= count
        return f"row {number} below the header{where}"


def read(path: Path | Frame, options: TableOptions) -> Files:
    """Read the table at ``path``, check the names in ``options``, and join the files that they name.

    Raises `OptionError`, and `DataError` with all differences between the files.
    """
    table, digest = reader.read(path)
    options.check_names(path, table.column_names)
    others = {name: other for name, other in (("validation", options.validation), ("test", options.test)) if other}
    if not others:
        return Files(table, np.zeros(table.num_rows, np.int8), digest, {path: table.num_rows})
    names = [name for name in table.column_names if name not in options.drop]
    tables, parts, counts = [table.select(names)], [np.zeros(table.num_rows, np.int8)], {path: table.num_rows}
    digests, errors = {digest: path}, []
    sha256 = {path.name: digest}
    for part, file in others.items():
        try:
            other, digest = reader.read(file)
        except DataError as error:
            errors.append(str(error))
            continue
        if digest in digests:
            errors.append(f"--{part} {file} has the content of {digests[digest]}; give a file with other rows")
        elif difference := _difference(file, other, path, tables[0], options):
            errors.append(difference)
        else:
            tables.append(other.select(names))
        digests[digest] = file
        sha256[file.name if file.name not in sha256 else f"{file.name} (--{part})"] = digest
        parts.append(np.full(other.num_rows, _CODES[part], np.int8))
        counts[file] = other.num_rows
    if errors:
        raise DataError(joined(path, errors))
    given = {part: _origin(file) for part, file in others.items()}
    whole = pa.concat_tables(tables, promote_options="permissive")
    return Files(whole, np.concatenate(parts), sha256, counts, given)


def _origin(file: Path | Frame) -> str:
    return f"those of {file}" if isinstance(file, Frame) else f"those of the file {file.name}"


def _difference(
    path: Path | Frame, table: pa.Table, first_path: Path | Frame, first: pa.Table, options: TableOptions
) -> str | None:
    """How the columns of ``table`` differ from those of ``first``, in any order; None if they do not."""
    names = [name for name in table.column_names if name not in options.drop]
    clauses = []
    if lacking := [name for name in first.column_names if name not in names]:
        clauses.append(f"lacks {', '.join(map(repr, lacking))}")
    if surplus := [name for name in names if name not in first.column_names]:
        clauses.append(f"also has {', '.join(map(repr, surplus))}")
    if reader.has_types(path) != reader.has_types(first_path):
        typed, plain = (path, first_path) if reader.has_types(path) else (first_path, path)
        clauses.append(f"has another format: {typed.name} stores the types of its columns, and {plain.name} does not")
    else:
        both = [name for name in names if name in first.column_names]
        clauses += [
            f"has {table[name].type} in {name!r}, which is {first[name].type} there"
            for name in both
            if not _alike(table[name].type, first[name].type)
        ]
    if not clauses:
        return None
    return f"{path} needs the columns of {first_path}, but it {'; it '.join(clauses)}"


def _alike(one: Any, other: Any) -> bool:
    """Whether values of two Arrow types can be in one column."""
    numbers = [columns.is_number_type(each) for each in (one, other)]
    nulls = [pa.types.is_null(each) for each in (one, other)]
    return bool(one == other or all(numbers) or any(nulls))
