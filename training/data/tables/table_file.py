"""Load a table from a CSV or Parquet file; column types are inferred unless the user gives them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from service.cells import Cells
from training.data.dataset import Dataset, file_name
from training.data.kind import DataKind
from training.data.tables import columns, dates, features, hints, parsing, reader, targets
from training.data.tables.options import OPTIONS, TableOptions
from training.data.tables.parsing import ParsedColumn
from training.errors import DataError


def load(path: Path, options: TableOptions) -> Dataset:
    """Load the table; every string of a categorical column is a category.

    Raises `DataError` with all errors of its columns, and `OptionError` if ``options`` do not fit.
    """
    cells = options.cells()
    table, digest = reader.read(path)
    options.check_names(path, table.column_names)
    table = table.drop_columns(list(options.drop))
    parsed = {
        name: _parse(name, array, options, cells, typed=reader.has_types(path))
        for name, array in zip(table.column_names, table.columns, strict=True)
    }
    invalid = {name for name, column in parsed.items() if column.errors}
    errors = [error for column in parsed.values() for error in column.errors]
    values = pa.table({name: column.array for name, column in parsed.items()})
    values, target_notes = _drop_rows_without_target(path, values, options.targets, parsed)
    target = None
    if not invalid & set(options.targets):
        try:
            target = targets.target_of(values.select(options.targets), options.task)
        except DataError as error:
            errors.append(str(error))
    if len(parsed) == len(options.targets):
        raise DataError(f"{path} has no columns left to predict {', '.join(options.targets)} from; drop fewer")
    others = values.drop_columns(list({*options.targets, *invalid}))
    formats = {name: column.dates for name, column in parsed.items() if column.dates is not None}
    found = features.features_of(others, options.categorical, options.drop, formats)
    errors += found.errors
    if errors or target is None:
        raise DataError(_joined(path, [*errors, *(each.maybe_dates for each in parsed.values() if each.maybe_dates)]))
    return Dataset(
        name=file_name(path.stem, default="table"),
        inputs=found.inputs,
        targets=target.values,
        labels=target.labels,
        columns=found.columns,
        target_names=options.targets,
        shape=(len(found.columns),),
        source={"name": path.name, "sha256": digest, "dropped": list(options.drop)},
        notes=(*target_notes, *_notes(parsed, options), *found.notes, target.note),
        cells=cells,
    )


def _parse(name: str, array: pa.ChunkedArray, options: TableOptions, cells: Cells, *, typed: bool) -> ParsedColumn:
    """Parse a column as the options say or as inferred; ``typed`` if the file stores column types."""
    if name in options.targets or name in options.categorical:
        return _parse_values(name, array, options, cells, typed=typed)
    found = dates.infer(name, array, cells, options.dates())
    if found is not None:
        return found
    parsed = _parse_values(name, array, options, cells, typed=typed)
    found = dates.infer(name, parsed.array, cells, options.dates()) if columns.is_numeric(parsed.array) else None
    if found is not None:
        return replace(found, missing=parsed.missing)
    note = dates.note_of(name, parsed.array, cells)
    return parsed if note is None else replace(parsed, notes=[*parsed.notes, note], maybe_dates=note)


def _parse_values(
    name: str, array: pa.ChunkedArray, options: TableOptions, cells: Cells, *, typed: bool
) -> ParsedColumn:
    """Parse a column that has no dates, or dates that are categories."""
    is_target, remedy = name in options.targets, options.keep_strings_flag(name)
    as_strings = name in options.categorical or (is_target and options.task == "classification")
    if typed and not columns.is_string(array):
        values = parsing.without_sentinels(array, cells) if columns.is_numeric(array) else array
        return ParsedColumn(values, errors=columns.errors_of(name, values, numeric=not as_strings))
    if as_strings and (typed or not is_target):
        return parsing.as_strings(array, cells)
    if typed:
        return parsing.typed_strings(name, array, cells, remedy)
    parsed = parsing.infer(name, array, cells, remedy, decimal_known=bool(options.decimal or options.thousands))
    if is_target and options.task != "regression" and len(options.targets) == 1:
        strings = parsing.as_strings(array, cells)
        if parsing.keep_strings(parsed, strings, classification=as_strings):
            return strings
    errors = [*parsed.errors, *columns.errors_of(name, parsed.array, numeric=True)]
    return ParsedColumn(parsed.array, parsed.missing, errors, parsed.notes)


def _drop_rows_without_target(
    path: Path, table: pa.Table, names: Sequence[str], parsed: Mapping[str, ParsedColumn]
) -> tuple[pa.Table, list[str]]:
    """Return the rows that have all targets, and a note on the others."""
    missing = np.zeros(table.num_rows, bool)
    strings: Counter[str] = Counter()
    for name in names:
        missing |= table[name].is_null().to_numpy()
        strings.update(parsed[name].missing)
    count, rows = int(missing.sum()), table.num_rows
    if count == rows:
        listed = ", ".join(map(repr, names))
        raise DataError(f"{path} has no row with a value for target {listed}; choose another --target")
    if not count:
        return table, []
    counts = f" ({hints.format_counts(strings)})" if strings else ""
    has, are = ("has", "is") if count == 1 else ("have", "are")
    return table.filter(pa.array(~missing)), [
        f"{count:,} of {rows:,} rows {has} no {' or no '.join(names)}{counts} and {are} left out"
    ]


def _notes(parsed: Mapping[str, ParsedColumn], options: TableOptions) -> list[str]:
    """Return notes on strings that were, or may be, missing values, and those of each column."""
    notes = [
        f"{name}: {sum(column.missing.values()):,} missing ({hints.format_counts(column.missing)})"
        for name, column in parsed.items()
        if column.missing and name not in options.targets
    ]
    suspects = {
        name: counts
        for name, column in parsed.items()
        if options.missing is None and columns.is_string(column.array) and (counts := hints.maybe_missing(column.array))
    }
    if suspects:
        marks = dict.fromkeys(string for column in parsed.values() for string in column.missing if string)
        marks |= dict.fromkeys(string for counts in suspects.values() for string in counts)
        where = "; ".join(f"{name} has {hints.format_counts(counts)}" for name, counts in suspects.items())
        notes.append(
            f"read as ordinary strings: {where}; if they mean a missing value, use --missing {shlex.join(marks)}, "
            "which applies to all columns"
        )
    return [*notes, *(note for column in parsed.values() for note in column.notes)]


def _joined(path: Path, errors: Sequence[str]) -> str:
    if len(errors) == 1:
        return errors[0]
    return f"{path} has {len(errors)} errors:" + "".join(f"\n- {error}" for error in errors)


KIND: Final = DataKind(
    description=f"a table ({', '.join(reader.SUFFIXES)})",
    load=lambda path, options, _track: load(Path(path), TableOptions(**options)),
    suffixes=reader.SUFFIXES,
    options=OPTIONS,
    options_help="column types are inferred from the values; override them here",
)
