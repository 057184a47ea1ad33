"""Read the files of --validation and --test, and join them with the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data.dataset import HELD_OUT
from training.data.tables import columns, reader
from training.data.tables.frames import Frame
from training.data.tables.options import TableOptions
from training.data.tables.reader import TableFile
from training.errors import DataError, joined


@dataclass(frozen=True, slots=True)
class Files:
    """The rows of all files.

    ``file`` has the columns of the first file, in its order, and the rows of all. ``parts`` int8 (rows,) are as in
    `Division.parts`, all `REST` for the first file; ``given`` names the other files as `Division.given` does.
    ``digest`` is the SHA-256 of the file, or of each file by name. ``counts`` are the rows of each file, by the path as
    the user gave it.
    """

    file: TableFile
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


def join(path: Path | Frame, first: TableFile, options: TableOptions) -> Files:
    """Join ``first``, the table at ``path``, and the files that ``options`` name.

    Raises `DataError` with all differences between the files.
    """
    others = {name: other for name, other in (("validation", options.validation), ("test", options.test)) if other}
    parts, counts = [np.zeros(first.table.num_rows, np.int8)], {path: first.table.num_rows}
    if not others:
        return Files(first, parts[0], first.sha256, counts)
    names = [name for name in first.table.column_names if name not in options.drop]
    tables, notes, errors = [first.table.select(names)], [*first.notes], []
    digests, sha256 = {first.sha256: path}, {path.name: first.sha256}
    for part, file in others.items():
        try:
            other = reader.read(file, names)
        except DataError as error:
            errors.append(str(error))
            continue
        if other.sha256 in digests:
            errors.append(f"{_named(part, file)} has the content of {digests[other.sha256]}; give one with other rows")
        elif difference := _difference(file, other, path, first, options):
            errors.append(difference)
        else:
            tables.append(other.table.select(names))
        digests[other.sha256] = file
        sha256[file.name if file.name not in sha256 else f"{file.name} (--{part})"] = other.sha256
        parts.append(np.full(other.table.num_rows, HELD_OUT[part], np.int8))
        counts[file] = other.table.num_rows
        notes += [f"{file.name}: {note}" for note in other.notes]
    if errors:
        raise DataError(joined(path, errors))
    whole = replace(first, table=pa.concat_tables(tables, promote_options="permissive"), notes=tuple(notes))
    given = {part: _origin(file) for part, file in others.items()}
    return Files(whole, np.concatenate(parts), sha256, counts, given)


def _named(part: str, file: Path | Frame) -> str:
    return str(file) if isinstance(file, Frame) else f"--{part} {file}"


def _origin(file: Path | Frame) -> str:
    return f"those of {file}" if isinstance(file, Frame) else f"those of the file {file.name}"


def _difference(
    path: Path | Frame, file: TableFile, first_path: Path | Frame, first: TableFile, options: TableOptions
) -> str | None:
    """How the columns of ``file`` differ from those of ``first``, in any order; None if they do not."""
    needed = [name for name in first.table.column_names if name not in options.drop]
    names = [name for name in file.table.column_names if name not in options.drop]
    clauses = []
    if lacking := [name for name in needed if name not in names]:
        clauses.append(f"lacks {', '.join(map(repr, lacking))}")
    if surplus := [name for name in names if name not in needed]:
        clauses.append(f"also has {', '.join(map(repr, surplus))}")
    both = [name for name in names if name in needed]
    if untyped := [name for name in both if (name in file.typed) != (name in first.typed)]:
        typed, plain = (path, first_path) if untyped[0] in file.typed else (first_path, path)
        clauses.append(f"has another format: {typed.name} stores the type of {untyped[0]!r}, and {plain.name} does not")
    else:
        clauses += [
            f"has {file.table[name].type} in {name!r}, which is {first.table[name].type} there"
            for name in both
            if not _alike(file.table[name].type, first.table[name].type)
        ]
    return f"{path} needs the columns of {first_path}, but it {'; it '.join(clauses)}" if clauses else None


def _alike(one: Any, other: Any) -> bool:
    """Whether values of two Arrow types can be in one column."""
    numbers = [columns.is_number_type(each) for each in (one, other)]
    nulls = [pa.types.is_null(each) for each in (one, other)]
    return bool(one == other or all(numbers) or any(nulls))
