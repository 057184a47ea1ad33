"""Your own table, CSV or Parquet: its columns' kinds are told by their values, unless you say otherwise."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from training.data import columns, features, reading, targets
from training.data.dataset import Dataset, plain_name
from training.errors import DataError, OptionError

_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user says of the table's columns: the ``targets`` to predict and as what ``task``, which features are
    ``categorical`` though they look otherwise, and which are to be left out (``drop``)."""

    targets: tuple[str, ...] = ()
    task: str = "auto"
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


def load(path: Path, choices: Choices) -> Dataset:
    """The table in the file, with every text of a categorical column for a category.

    Raises `DataError` where nothing can be learned from it as it is, `OptionError` where it has no such columns.
    """
    table, digest = reading.read(path)
    _check(path, table.column_names, choices)
    table = table.drop_columns(list(choices.drop))
    for name, array in zip(table.column_names, table.columns, strict=True):
        columns.check(name, array, _remedy(name, choices))
    known, notes = _with_target(path, table, choices.targets)
    target = targets.target_of(known.select(choices.targets), choices.task)
    rest = known.drop_columns(list(choices.targets))
    if not rest.num_columns:
        raise DataError(f"{path} has no column left to predict {', '.join(choices.targets)} from; --drop fewer")
    found, inputs, ids = features.features_of(rest, choices.categorical, choices.drop)
    return Dataset(
        name=plain_name(path.stem, otherwise="table"),
        inputs=inputs,
        targets=target.values,
        labels=target.labels,
        columns=found,
        target_names=choices.targets,
        shape=(len(found),),
        source={"name": path.name, "sha256": digest, "dropped": list(choices.drop)},
        notes=(*notes, *ids, target.note),
    )


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


def _remedy(name: str, choices: Choices) -> str | None:
    if name in choices.targets:
        return None if choices.task == "classification" else "--task classification"
    return None if name in choices.categorical else f"--categorical {shlex.quote(name)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _with_target(path: Path, table: pa.Table, names: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """The rows that have all their targets: there is nothing to learn from the others, nor to test by."""
    missing = np.zeros(table.num_rows, bool)
    for name in names:
        array = table[name]
        array = columns.texts_of(array) if columns.is_text(array) else array
        missing |= array.is_null().to_numpy()
    count, rows = int(missing.sum()), table.num_rows
    if count == rows:
        raise DataError(
            f"{path} has no row with a value of target {', '.join(map(repr, names))}; name another --target"
        )
    if not count:
        return table, []
    verb = "has" if count == 1 else "have"
    return table.filter(pa.array(~missing)), [
        f"{count:,} of {rows:,} rows {verb} no {' or no '.join(names)} and {'is' if count == 1 else 'are'} left out"
    ]
