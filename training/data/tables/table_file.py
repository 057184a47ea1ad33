"""Your own table, CSV or Parquet: its columns' kinds are told by their values, unless you say otherwise."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from service.cells import DECIMALS, THOUSANDS, Cells, strip
from training.data.dataset import Dataset, plain_name
from training.data.tables import columns, features, reader, targets, texts
from training.data.tables.texts import Understood
from training.errors import DataError, OptionError

_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user says of the table's columns: the ``targets`` to predict and as what ``task``, which features are
    ``categorical`` though they look otherwise, and which are to be left out (``drop``).

    And of its cells: which texts stand for a ``missing`` value, in all columns alike, what the ``decimal`` mark is and
    what the mark between ``thousands``; None of them is said by default.
    """

    targets: tuple[str, ...] = ()
    task: str = "auto"
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None
    decimal: str | None = None
    thousands: str | None = None

    def cells(self) -> Cells:
        """The rules to read the table by. Raises `OptionError`."""
        thousands = self.thousands or ""
        decimal = self.decimal or ("," if thousands == "." else ".")
        if decimal not in DECIMALS:
            raise OptionError(f"--decimal is {decimal!r}, expected one of {' '.join(DECIMALS)}")
        if thousands not in ("", *THOUSANDS):
            raise OptionError(f"--thousands is {thousands!r}, expected one of {' '.join(map(shlex.quote, THOUSANDS))}")
        if decimal == thousands:
            raise OptionError(f"--decimal and --thousands are both {decimal!r}, expected marks that differ")
        if self.missing is None:
            return Cells(decimal=decimal, thousands=thousands)
        missing = tuple(dict.fromkeys(text for text in map(strip, self.missing) if text))
        return Cells(missing, missing, decimal, thousands)


def load(path: Path, choices: Choices) -> Dataset:
    """The table in the file, with every text of a categorical column for a category.

    Raises `DataError` where nothing can be learned from it as it is, with all that is wrong with its columns, and
    `OptionError` where it has no such columns.
    """
    cells = choices.cells()
    table, digest = reader.read(path)
    _check(path, table.column_names, choices)
    table = table.drop_columns(list(choices.drop))
    found = {
        name: _understood(name, array, choices, cells, typed=reader.has_types(path))
        for name, array in zip(table.column_names, table.columns, strict=True)
    }
    faults = {name: each.faults for name, each in found.items() if each.faults}
    sound = pa.table({name: each.array for name, each in found.items()})
    known, lost = _with_target(path, sound, choices.targets, found)
    rest = known.drop_columns([*choices.targets, *(name for name in faults if name not in choices.targets)])
    told = [fault for each in faults.values() for fault in each]
    target = None
    if not faults.keys() & set(choices.targets):
        try:
            target = targets.target_of(known.select(choices.targets), choices.task)
        except DataError as error:
            told.append(str(error))
    if len(found) == len(choices.targets):
        raise DataError(f"{path} has no column left to predict {', '.join(choices.targets)} from; --drop fewer")
    named, inputs, ids, more = features.features_of(rest, choices.categorical, choices.drop)
    told += more
    if told or target is None:
        raise DataError(_listed_faults(path, told))
    return Dataset(
        name=plain_name(path.stem, otherwise="table"),
        inputs=inputs,
        targets=target.values,
        labels=target.labels,
        columns=named,
        target_names=choices.targets,
        shape=(len(named),),
        source={"name": path.name, "sha256": digest, "dropped": list(choices.drop)},
        notes=(*lost, *_notes(found, choices), *ids, target.note),
        cells=cells,
    )


def _understood(name: str, array: pa.ChunkedArray, choices: Choices, cells: Cells, *, typed: bool) -> Understood:
    """What a column holds, as the user says or as it looks."""
    is_target, remedy = name in choices.targets, _remedy(name, choices)
    as_texts = name in choices.categorical or (is_target and choices.task == "classification")
    if typed and not columns.is_text(array):
        values = texts.without_sentinels(array, cells) if columns.is_numeric(array) else array
        return Understood(values, faults=columns.faults_of(name, values, taken_for_numbers=not as_texts))
    if as_texts and (typed or not is_target):
        return texts.as_they_stand(array, cells)
    if typed:
        return texts.of_their_type(name, array, cells, remedy)
    found = texts.by_their_looks(name, array, cells, remedy, decimal_known=bool(choices.decimal or choices.thousands))
    if is_target and choices.task != "regression" and len(choices.targets) == 1:
        labels = texts.as_they_stand(array, cells)
        if texts.are_labels(found, labels, asked=as_texts):
            return labels
    too_large = columns.faults_of(name, found.array, taken_for_numbers=True)
    return Understood(found.array, found.missing, [*found.faults, *too_large], found.notes)


def _check(path: Path, names: list[str], choices: Choices) -> None:
    if not choices.targets:
        raise OptionError(f"{path}: which column is to be predicted? say --target NAME; it has {_listed(names)}")
    for flag, chosen in (
        ("--target", choices.targets),
        ("--categorical", choices.categorical),
        ("--drop", choices.drop),
    ):
        for name in chosen:
            if name not in names:
                nearest = difflib.get_close_matches(name, names, n=1)
                remedy = f"did you mean {nearest[0]!r}?" if nearest else f"it has {_listed(names)}"
                raise OptionError(f"{flag}: {path} has no column {name!r}; {remedy}")
            if chosen.count(name) > 1:
                raise OptionError(f"{flag} has {name!r} twice; name it once")
    for name in choices.targets:
        if name in choices.drop or name in choices.categorical:
            flag, remedy = (
                ("--drop", "keep it") if name in choices.drop else ("--categorical", "say --task classification")
            )
            raise OptionError(f"{name!r} is both in --target and in {flag}; to predict it, {remedy}")


def _remedy(name: str, choices: Choices) -> str:
    """The option that takes a column's texts as they stand."""
    if name in choices.targets:
        return "--task classification"
    return f"--categorical {shlex.join([*choices.categorical, name])}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _listed_faults(path: Path, faults: Sequence[str]) -> str:
    if len(faults) == 1:
        return faults[0]
    return f"{path} cannot be learned from as it is, for {len(faults)} reasons:" + "".join(
        f"\n- {fault}" for fault in faults
    )


def _notes(found: Mapping[str, Understood], choices: Choices) -> list[str]:
    """What was taken for missing in each feature, with its counts; what may have been meant so; the columns' own."""
    features_found = {name: each for name, each in found.items() if name not in choices.targets}
    notes = [
        f"{name}: {sum(each.missing.values()):,} missing ({texts.shown(each.missing)})"
        for name, each in features_found.items()
        if each.missing
    ]
    suspects = {
        name: counts
        for name, each in found.items()
        if choices.missing is None and columns.is_text(each.array) and (counts := texts.suspects_in(each.array))
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
