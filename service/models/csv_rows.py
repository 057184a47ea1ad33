"""Reads labelled rows of a CSV file in batches; cells are read as in training and in requests."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from service.cells import name_of
from service.errors import InvalidInput
from service.manifest import CLASSIFICATION, Manifest
from service.models.command import CommandError
from service.models.labelled_rows import Batch, Skipped, TargetCells, View, batch_rows
from service.models.references import suggestion

_DELIMITERS: Final = ",;\t|"
_MAX_LINE_LETTERS: Final = 2**24


def batches(
    path: Path, views: Sequence[View], manifest: Manifest, targets: Sequence[str], skipped: Skipped
) -> Iterator[Batch]:
    """The rows of a CSV file that have a target and that every view takes; the others are counted in ``skipped``.

    ``targets`` are the columns of the targets of ``manifest``. Raises `CommandError` if the file is no table with the
    columns that are needed. Memory does not grow with the file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _Table(path, file).batches(views, manifest, targets, skipped)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}; give a CSV or .npz file") from error
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{path} is not UTF-8: it has the byte {error.object[error.start]:#04x}; save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise CommandError(f"{path} is not a CSV file: {error}; save it again") from error


class _Table:
    """A CSV file with a header."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        lines = _Lines(path, file)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            raise CommandError(f"{path} is empty, expected a table with a header")
        unquoted = re.sub(r'"[^"]*"', "", first)
        self._delimiter = max(_DELIMITERS, key=unquoted.count)
        self._rows = csv.reader(_chain(first, lines), delimiter=self._delimiter)
        self._names = list(map(name_of, next(self._rows)))
        for name, times in Counter(self._names).most_common():
            if name and times > 1:
                raise CommandError(f"{path} has {times} columns named {name!r}; rename them")

    def batches(
        self, views: Sequence[View], manifest: Manifest, targets: Sequence[str], skipped: Skipped
    ) -> Iterator[Batch]:
        """The rows that are scored."""
        self._check_columns(views, targets)
        indices = [[self._names.index(column.name) for column in view.columns] for view in views]
        target_indices = [self._names.index(name) for name in targets]
        reader, classifies = TargetCells(manifest), manifest.task == CLASSIFICATION
        size = batch_rows(max(len(view.columns) for view in views))
        inputs = [np.empty((size, len(view.columns))) for view in views]
        found: list[list[float]] = []
        for number, row in enumerate(self._data(), 1):
            target = _target(reader, [row[index] for index in target_indices], number, skipped)
            if target is None or not _encode(
                views, indices, row, number, [each[len(found)] for each in inputs], skipped
            ):
                continue
            found.append(target)
            if len(found) == size:
                yield Batch(tuple(inputs), _targets(found, classifies=classifies))
                found = []
        if found:
            yield Batch(tuple(each[: len(found)] for each in inputs), _targets(found, classifies=classifies))

    def _check_columns(self, views: Sequence[View], targets: Sequence[str]) -> None:
        needed = dict.fromkeys([*targets, *(column.name for view in views for column in view.columns)])
        lacking = [name for name in needed if name not in self._names]
        if lacking:
            faults = ", ".join(f"{name!r:.60}" for name in lacking[:5]) + (" and more" if len(lacking) > 5 else "")
            remedy = suggestion(lacking[0], self._names)
            option = "; name the target column with --target" if set(lacking) & set(targets) else ""
            raise CommandError(f"{self._path} has no column {faults}; {remedy}{option}")

    def _data(self) -> Iterator[list[str]]:
        for row in self._rows:
            if len(row) == len(self._names):
                yield row
            elif row:  # an empty line is none
                raise CommandError(
                    f"{self._path}, line {self._rows.line_num}: {len(row)} values, expected {len(self._names)} as in "
                    f"the header (separated by {self._delimiter!r}); correct the line"
                )


def _target(reader: TargetCells, texts: list[str], number: int, skipped: Skipped) -> list[float] | None:
    try:
        target = reader.read(texts)
    except ValueError as error:
        skipped.add("with a target that the models do not know", f"row {number}: {error}")
        return None
    if target is None:
        skipped.add("without a target", f"row {number}")
    return target


def _encode(
    views: Sequence[View],
    indices: Sequence[list[int]],
    row: list[str],
    number: int,
    into: Sequence[NDArray[np.float64]],
    skipped: Skipped,
) -> bool:
    """Write the numbers of a row for each view; False if a view does not take it."""
    for view, places, numbers in zip(views, indices, into, strict=True):
        try:
            numbers[:] = [column.number(number, row[index]) for column, index in zip(view.columns, places, strict=True)]
        except InvalidInput as error:
            skipped.add(f"rejected by {view.title}", error.fault.detail)
            return False
    return True


def _targets(found: list[list[float]], *, classifies: bool) -> NDArray[np.float64] | NDArray[np.int64]:
    return np.array([index for (index,) in found], np.int64) if classifies else np.array(found, np.float64)


class _Lines:
    """The lines of a file, none of them endless, with an even number of quotes in all."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._file = file
        self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(_MAX_LINE_LETTERS + 1):
            if len(line) > _MAX_LINE_LETTERS:
                raise CommandError(
                    f"{self._path} has a line of more than {_MAX_LINE_LETTERS:,} letters; is it a table?"
                )
            self._quotes += line.count('"')
            yield line
        if self._quotes % 2:
            raise CommandError(
                f'{self._path} has an odd number of double quotes; write one inside a quoted value as ""'
            )


def _chain(first: str, lines: _Lines) -> Iterator[str]:
    yield first
    yield from lines
