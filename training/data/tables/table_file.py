"""Load a table from a file; column types are inferred unless the file or the user gives them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.data.dataset import REST, Dataset, file_name
from training.data.tables import columns, dates, given_rows, hints, parsing, part_files, reader, row_roles, targets
from training.data.tables.files import mapped, spilled
from training.data.tables.frames import Frame
from training.data.tables.numbers import Rules
from training.data.tables.options import TableOptions
from training.data.tables.parsing import ParsedColumn
from training.data.tables.part_files import Files
from training.data.tables.reader import TableFile
from training.errors import DataError


def load(path: Path | Frame, options: TableOptions) -> Dataset:
    """Load the table; every string of a categorical column is a category.

    Raises `DataError` with all errors of its columns, and `OptionError` if ``options`` do not fit.
    """
    return dataset_of(path, reader.read(path, options.targets), options)


def dataset_of(path: Path | Frame, file: TableFile, options: TableOptions, *, sampled: bool = False) -> Dataset:
    """Return the data set of a table that was read; ``path`` names it. Raises as `load`.

    If ``sampled``, it has some of the rows only.
    """
    rules = options.rules(comma=file.decimal_comma)
    options.check_names(path, file.table.column_names)
    files = part_files.join(path, file, options)
    name, file_notes = file_name(reader.stem(path), default="table"), files.file.notes
    arrays = dict(zip(files.file.table.column_names, files.file.table.columns, strict=True))
    del file
    files = replace(files, file=replace(files.file, table=files.file.table.select(options.roles)))
    in_files = _are_large([array for name, array in arrays.items() if name not in files.file.typed])
    parsed = _parse_all(arrays, files, options, rules, in_files=in_files)  # releases each column
    invalid = {name for name, column in parsed.items() if column.errors}
    values = spilled.table_of([column.array for column in parsed.values()], list(parsed))
    kept, target_notes = _rows_with_target(path, values, options.targets, parsed)
    roles_table = files.file.table
    if not kept.all():
        values, roles_table = (_filtered(each, kept, in_files=in_files) for each in (values, roles_table))
    roles = row_roles.roles_of(roles_table, files, files.parts[kept], options, rules)
    rest = roles.division.rest(values.num_rows)
    target, errors = None, [*(error for column in parsed.values() for error in column.errors), *roles.errors]
    if not rest.any():
        raise DataError(_joined(path, errors, ""))
    if not invalid & set(options.targets):
        try:
            target = given_rows.target_of(values.select(options.targets), rest, options.task, sampled=sampled)
        except DataError as error:
            errors.append(str(error))
    values = values.drop_columns(list({*options.targets, *invalid}))
    suspects = {} if options.missing is not None else _suspects(parsed)
    formats = {name: column.dates for name, column in parsed.items() if column.dates is not None}
    parsed = {name: replace(each, array=pa.chunked_array([], each.array.type)) for name, each in parsed.items()}
    # The list holds the only reference to the table, so that its columns can be released one by one.
    features = [values]
    del values
    found = given_rows.features_of(features.pop(), rest, options, formats)
    errors += found.errors
    maybe_values = [column.maybe_values for column in parsed.values() if column.maybe_values]
    if errors or target is None:
        command = _command(parsed, options, found.errors)
        raise DataError(_joined(path, [*map(files.located, errors), *maybe_values], command))
    if not found.columns:
        listed = "; ".join([*found.notes, *maybe_values])
        raise DataError(
            f"{path} has no columns left to predict {', '.join(options.targets)} from; "
            f"{'drop fewer' if options.drop else 'add some'}" + (f" ({listed})" if listed else "")
        )
    dropped = [*options.left_out, *files.file.left_out, *found.dropped]
    return Dataset(
        name=name,
        inputs=found.inputs,
        targets=target.values,
        labels=target.labels,
        columns=tuple(replace(column, cells=parsed[column.name].cells) for column in found.columns),
        target_names=options.targets,
        shape=(len(found.columns),),
        source={"name": path.name, "sha256": files.digest, "dropped": dropped}
        | ({"weight": options.weight} if options.weight else {}),
        division=roles.division,
        weights=roles.weights,
        notes=(
            *file_notes,
            *target_notes,
            *roles.notes,
            *_notes(parsed, suspects, options, found.dropped),
            *found.notes,
            target.note,
        ),
        cells=rules.cells,
        target_cells={name: own for name in options.targets if (own := parsed[name].cells)},
    )


def _parse_all(
    arrays: dict[str, pa.ChunkedArray], files: Files, options: TableOptions, rules: Rules, *, in_files: bool
) -> dict[str, ParsedColumn]:
    """Parse all columns but the dropped ones; those that are ambiguous by what the others suggest.

    Each column is removed from ``arrays`` once it is parsed, since strings take several times the memory of numbers.
    What strings become is kept in files if ``in_files``: as float64 it takes twice the memory of the features.
    """
    typed = files.file.typed
    chooses = files.parts == REST if files.given else None
    parsed: dict[str, ParsedColumn] = {}
    ambiguous: dict[str, pa.ChunkedArray] = {}
    for name in list(arrays):
        array = arrays.pop(name)
        if name in options.left_out:
            continue
        found = _parse(name, array, options, rules, chooses, typed=name in typed)
        parsed[name] = replace(found, array=spilled.moved(found.array)) if in_files and name not in typed else found
        if found.ambiguous:
            ambiguous[name] = array
        spilled.give_back()
    commas = any(column.cells and column.cells.decimal == "," and not column.ambiguous for column in parsed.values())
    if commas and not rules.fixed:
        comma = replace(rules, comma=True, points=True)
        for name, array in ambiguous.items():
            parsed[name] = _parse(name, array, options, comma, chooses, typed=name in typed)
    return parsed


def _filtered(table: pa.Table, kept: NDArray[np.bool_], *, in_files: bool) -> pa.Table:
    """Return the rows ``kept`` (rows,) of ``table``, column by column if these are ``in_files``, as they were."""
    mask = pa.array(kept)
    if not in_files or not table.num_columns:
        return table.filter(mask)
    found = []
    for column in table.columns:
        found.append(spilled.moved(column.filter(mask)))
        spilled.give_back()
    return spilled.table_of(found, table.column_names)


def _are_large(strings: Sequence[pa.ChunkedArray]) -> bool:
    """Return whether what columns of strings become is rather kept in files."""
    size_bytes = sum(array.get_total_buffer_size() for array in strings)  # reads no page, unlike nbytes
    return mapped.DONT_NEED is not None and size_bytes >= mapped.MIN_BYTES and len(strings) < spilled.MAX_COLUMNS


def _suspects(parsed: Mapping[str, ParsedColumn]) -> dict[str, Mapping[str, int]]:
    """The strings of each column that often mean a missing value, with their counts."""
    found = {name: hints.maybe_missing(each.array) for name, each in parsed.items() if columns.is_string(each.array)}
    return {name: counts for name, counts in found.items() if counts}


def _parse(
    name: str,
    array: pa.ChunkedArray,
    options: TableOptions,
    rules: Rules,
    chooses: NDArray[np.bool_] | None,
    *,
    typed: bool,
) -> ParsedColumn:
    """Parse a column as the options say or as inferred; ``typed`` if the file stores its type.

    The rows ``chooses`` (rows,) choose the format of dates, None for all.
    """
    read = partial(dates.infer, name, cells=rules.cells, options=options.dates(), chooses=chooses)
    is_date = name in options.targets and dates.holds_dates(array, rules.cells)
    if is_date and not targets.are_date_classes(array, options.task):
        error = f"target {name!r} holds dates or durations, expected classes or numbers; convert it, such as to days"
        return ParsedColumn(array, errors=[error])
    as_values = name in options.numeric and not pa.types.is_temporal(array.type)
    if name in (*options.targets, *options.categorical) or as_values:
        return _parse_values(name, array, options, rules, typed=typed)
    found = read(array)
    if found is not None:
        return found
    parsed = _parse_values(name, array, options, rules, typed=typed)
    found = read(parsed.array) if columns.is_numeric(parsed.array) else None
    if found is not None:
        return replace(found, missing=parsed.missing, cells=parsed.cells)
    note = dates.note_of(name, parsed.array, rules.cells)
    return parsed if note is None else replace(parsed, notes=[*parsed.notes, note], maybe_values=note)


def _parse_values(
    name: str, array: pa.ChunkedArray, options: TableOptions, rules: Rules, *, typed: bool
) -> ParsedColumn:
    """Parse a column that has no dates, or dates that are categories."""
    cells = rules.cells
    is_target, remedy = name in options.targets, options.keep_strings_flag(name)
    as_strings = name in options.categorical or (is_target and options.task == "classification")
    if typed and not columns.is_string(array):
        values = parsing.without_sentinels(array, cells) if columns.is_numeric(array) else array
        supported = is_target or columns.is_supported(values)
        return ParsedColumn(values, errors=columns.errors_of(name, values, numeric=not as_strings) if supported else ())
    if as_strings and (typed or not is_target):
        return parsing.as_strings(array, cells) if typed else parsing.as_texts(array, cells)
    if is_target and options.task == "regression":
        rules = replace(rules, numeric=(*rules.numeric, name))
    if typed and name not in rules.numeric:
        return parsing.typed_strings(name, array, rules, remedy)
    parsed = parsing.infer(name, array, rules, remedy)
    if is_target and options.task != "regression" and len(options.targets) == 1:
        strings = parsing.as_texts(array, cells)
        if parsing.keep_strings(parsed, strings, classification=as_strings):
            return strings
    return replace(parsed, errors=[*parsed.errors, *columns.errors_of(name, parsed.array, numeric=True)])


def _rows_with_target(
    path: Path | Frame, table: pa.Table, names: Sequence[str], parsed: Mapping[str, ParsedColumn]
) -> tuple[NDArray[np.bool_], list[str]]:
    """Return which rows (rows,) have all targets, and a note on the others."""
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
        return ~missing, []
    counts = f" ({hints.format_counts(strings)})" if strings else ""
    has, are = ("has", "is") if count == 1 else ("have", "are")
    return ~missing, [f"{count:,} of {rows:,} rows {has} no {' or no '.join(names)}{counts} and {are} left out"]


def _notes(
    parsed: Mapping[str, ParsedColumn],
    suspects: Mapping[str, Mapping[str, int]],
    options: TableOptions,
    dropped: Collection[str],
) -> list[str]:
    """Return notes on strings that were, or may be, missing values, and those of each column that is used.

    Of the others, one that may have dates has a note.
    """
    used = {name: column for name, column in parsed.items() if name not in dropped}
    notes = [
        f"{name}: {sum(column.missing.values()):,} missing ({hints.format_counts(column.missing)})"
        for name, column in used.items()
        if column.missing and name not in options.targets
    ]
    suspects = {name: counts for name, counts in suspects.items() if name in used}
    if suspects:
        marks = dict.fromkeys(string for column in used.values() for string in column.missing if string)
        marks |= dict.fromkeys(string for counts in suspects.values() for string in counts)
        where = "; ".join(f"{name} has {hints.format_counts(counts)}" for name, counts in suspects.items())
        notes.append(
            f"read as ordinary strings: {where}; if they mean a missing value, use --missing {shlex.join(marks)}, "
            "which applies to all columns"
        )
    maybe_values = [parsed[name].maybe_values for name in dropped if parsed[name].maybe_values]
    return [*notes, *(note for column in used.values() for note in column.notes), *maybe_values]


def _command(parsed: Mapping[str, ParsedColumn], options: TableOptions, others: Sequence[str]) -> str:
    """Return the options under which no feature has an error: columns are categories or dropped.

    There are none if features have ``others`` than those of `ParsedColumn`.
    """
    named = (*options.targets, *options.datetime)
    invalid = {name: column for name, column in parsed.items() if column.errors and name not in named}
    strings = [name for name, column in invalid.items() if columns.is_string(column.array)]
    rest = [name for name in invalid if name not in strings]
    flags = [("--categorical", [*options.categorical, *strings], strings), ("--drop", [*options.drop, *rest], rest)]
    return " ".join(f"{flag} {shlex.join(names)}" for flag, names, added in flags if added and not others)


def _joined(path: Path | Frame, errors: Sequence[str], command: str) -> str:
    if len(errors) == 1:
        return f"{errors[0]}; to go on without it, use {command}" if command not in errors[0] else errors[0]
    last = f"\n- to go on without these columns as numbers, use {command}" if command else ""
    return f"{path} has {len(errors)} errors:" + "".join(f"\n- {error}" for error in errors) + last
