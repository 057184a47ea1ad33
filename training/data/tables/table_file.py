"""Your own table, CSV or Parquet: its columns' kinds are told by their values, unless you say otherwise."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from service.cells import Cells
from training.data.dataset import Dataset, file_name
from training.data.kind import DataKind
from training.data.tables import columns, features, reader, targets, texts
from training.data.tables.options import OPTIONS, TableOptions
from training.data.tables.texts import Understood
from training.errors import DataError, OptionError

_LISTED: Final = 20


def load(path: Path, options: TableOptions) -> Dataset:
    """The table in the file, with every text of a categorical column for a category.

    Raises `DataError` where nothing can be learned from it as it is, with all that is wrong with its columns, and
    `OptionError` where it has no such columns.
    """
    cells = options.cells()
    table, digest = reader.read(path)
    _check(path, table.column_names, options)
    table = table.drop_columns(list(options.drop))
    found = {
        name: _understood(name, array, options, cells, typed=reader.has_types(path))
        for name, array in zip(table.column_names, table.columns, strict=True)
    }
    faults = {name: each.faults for name, each in found.items() if each.faults}
    sound = pa.table({name: each.array for name, each in found.items()})
    known, lost = _with_target(path, sound, options.targets, found)
    rest = known.drop_columns([*options.targets, *(name for name in faults if name not in options.targets)])
    told = [fault for each in faults.values() for fault in each]
    target = None
    if not faults.keys() & set(options.targets):
        try:
            target = targets.target_of(known.select(options.targets), options.task)
        except DataError as error:
            told.append(str(error))
    if len(found) == len(options.targets):
        raise DataError(f"{path} has no column left to predict {', '.join(options.targets)} from; --drop fewer")
    named, inputs, ids, more = features.features_of(rest, options.categorical, options.drop)
    told += more
    if told or target is None:
        raise DataError(_listed_faults(path, told))
    return Dataset(
        name=file_name(path.stem, default="table"),
        inputs=inputs,
        targets=target.values,
        labels=target.labels,
        columns=named,
        target_names=options.targets,
        shape=(len(named),),
        source={"name": path.name, "sha256": digest, "dropped": list(options.drop)},
        notes=(*lost, *_notes(found, options), *ids, target.note),
        cells=cells,
    )


def _understood(name: str, array: pa.ChunkedArray, options: TableOptions, cells: Cells, *, typed: bool) -> Understood:
    """What a column holds, as the user says or as it looks."""
    is_target, remedy = name in options.targets, _remedy(name, options)
    as_texts = name in options.categorical or (is_target and options.task == "classification")
    if typed and not columns.is_text(array):
        values = texts.without_sentinels(array, cells) if columns.is_numeric(array) else array
        return Understood(values, faults=columns.faults_of(name, values, taken_for_numbers=not as_texts))
    if as_texts and (typed or not is_target):
        return texts.as_they_stand(array, cells)
    if typed:
        return texts.of_their_type(name, array, cells, remedy)
    found = texts.by_their_looks(name, array, cells, remedy, decimal_known=bool(options.decimal or options.thousands))
    if is_target and options.task != "regression" and len(options.targets) == 1:
        labels = texts.as_they_stand(array, cells)
        if texts.are_labels(found, labels, asked=as_texts):
            return labels
    too_large = columns.faults_of(name, found.array, taken_for_numbers=True)
    return Understood(found.array, found.missing, [*found.faults, *too_large], found.notes)


def _check(path: Path, names: list[str], options: TableOptions) -> None:
    if not options.targets:
        raise OptionError(f"{path}: which column is to be predicted? say --target NAME; it has {_listed(names)}")
    for flag, chosen in (
        ("--target", options.targets),
        ("--categorical", options.categorical),
        ("--drop", options.drop),
    ):
        for name in chosen:
            if name not in names:
                nearest = difflib.get_close_matches(name, names, n=1)
                remedy = f"did you mean {nearest[0]!r}?" if nearest else f"it has {_listed(names)}"
                raise OptionError(f"{flag}: {path} has no column {name!r}; {remedy}")
            if chosen.count(name) > 1:
                raise OptionError(f"{flag} has {name!r} twice; name it once")
    for name in options.targets:
        if name in options.drop or name in options.categorical:
            flag, remedy = (
                ("--drop", "keep it") if name in options.drop else ("--categorical", "say --task classification")
            )
            raise OptionError(f"{name!r} is both in --target and in {flag}; to predict it, {remedy}")


def _remedy(name: str, options: TableOptions) -> str:
    """The option that takes a column's texts as they stand."""
    if name in options.targets:
        return "--task classification"
    return f"--categorical {shlex.join([*options.categorical, name])}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _listed_faults(path: Path, faults: Sequence[str]) -> str:
    if len(faults) == 1:
        return faults[0]
    return f"{path} cannot be learned from as it is, for {len(faults)} reasons:" + "".join(
        f"\n- {fault}" for fault in faults
    )


def _notes(found: Mapping[str, Understood], options: TableOptions) -> list[str]:
    """What was taken for missing in each feature, with its counts; what may have been meant so; the columns' own."""
    features_found = {name: each for name, each in found.items() if name not in options.targets}
    notes = [
        f"{name}: {sum(each.missing.values()):,} missing ({texts.shown(each.missing)})"
        for name, each in features_found.items()
        if each.missing
    ]
    suspects = {
        name: counts
        for name, each in found.items()
        if options.missing is None and columns.is_text(each.array) and (counts := texts.suspects_in(each.array))
    }
    if suspects:
        marks = dict.fromkeys(text for each in found.values() for text in each.missing if text)
        marks |= dict.fromkeys(text for counts in suspects.values() for text in counts)
        where = "; ".join(f"{name} has {texts.shown(counts)}" for name, counts in suspects.items())
        notes.append(
            f"taken as texts like any others: {where}; where they mean a missing value, say "
            f"--missing {shlex.join(marks)}, which holds for all columns"
        )
    return [*notes, *(note for each in found.values() for note in each.notes)]


def _with_target(
    path: Path, table: pa.Table, names: Sequence[str], found: Mapping[str, Understood]
) -> tuple[pa.Table, list[str]]:
    """The rows that have all their targets: there is nothing to learn from the others, nor to test by."""
    missing = np.zeros(table.num_rows, bool)
    counts: Counter[str] = Counter()
    for name in names:
        missing |= table[name].is_null().to_numpy()
        counts.update(found[name].missing)
    count, rows = int(missing.sum()), table.num_rows
    if count == rows:
        raise DataError(
            f"{path} has no row with a value of target {', '.join(map(repr, names))}; name another --target"
        )
    if not count:
        return table, []
    taken = f" ({texts.shown(counts)})" if counts else ""
    has, are = ("has", "is") if count == 1 else ("have", "are")
    return table.filter(pa.array(~missing)), [
        f"{count:,} of {rows:,} rows {has} no {' or no '.join(names)}{taken} and {are} left out"
    ]


KIND: Final = DataKind(
    description=f"a table ({', '.join(reader.SUFFIXES)})",
    load=lambda path, options, _track: load(Path(path), TableOptions(**options)),
    suffixes=reader.SUFFIXES,
    options=OPTIONS,
    options_help="column types are inferred from the values; override them here",
)
