"""Encode rows whose part is given by the columns of the other rows, so that they choose nothing about the network."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from service.dates import DateFormat
from training.data.dataset import Column, label_string
from training.data.tables import columns, features, targets
from training.data.tables.features import Features
from training.data.tables.options import TableOptions
from training.data.tables.targets import Target
from training.errors import DataError


def features_of(
    table: pa.Table, rest: NDArray[np.bool_], options: TableOptions, dates: Mapping[str, DateFormat]
) -> Features:
    """`features.features_of` the rows ``rest`` of ``table``, with the values of the others.

    Their categories that no row of ``rest`` has follow the others. A value that is missing only in them is an error.
    The columns are released as there, if ``rest`` has all rows.
    """
    if rest.all():
        only = [table]
        del table
        return features.features_of(only.pop(), options.categorical, options.drop, options.keep, dates)
    chosen = table.filter(pa.array(rest))
    found = features.features_of(chosen, options.categorical, options.drop, options.keep, dates)
    inputs = np.empty((table.num_rows, len(found.columns)), found.inputs.dtype)
    inputs[rest] = found.inputs
    extended, missing = [], dict[str, int]()
    for index, column in enumerate(found.columns):
        given = table[column.name].filter(pa.array(~rest))
        same, values = columns.to_feature(column.name, given, categorical=column.type == "categorical")
        inputs[~rest, index] = _recoded(column, same, values)
        extended.append(replace(column, categories=_categories(column, same)))
        if not column.missing and (count := int(np.isnan(values).sum())):
            missing[column.name] = count
    return replace(
        found, columns=tuple(extended), inputs=inputs, errors=[*found.errors, *_errors(missing, options.drop)]
    )


def target_of(table: pa.Table, rest: NDArray[np.bool_], task: str, *, sampled: bool) -> Target:
    """`targets.target_of` the rows ``rest`` of ``table``, with the values of the others. Raises `DataError`."""
    found = targets.target_of(table.filter(pa.array(rest)), task, sampled=sampled)
    if rest.all():
        return found
    whole = targets.target_of(table, "classification" if found.labels else "regression")
    known = set(map(label_string, found.labels))
    if absent := [label for label in map(label_string, whole.labels) if label not in known]:
        raise DataError(
            f"target {table.column_names[0]!r} is {' or '.join(map(repr, absent))} only in the given validation and "
            "test rows; add training rows of the class, or leave these out"
        )
    return replace(whole, note=found.note)


def _categories(column: Column, given: Column) -> tuple[str, ...]:
    known = set(column.categories)
    return (*column.categories, *(name for name in given.categories if name not in known))


def _recoded(column: Column, given: Column, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The codes ``values`` of the ``given`` categories as codes of `_categories`."""
    if column.type != "categorical":
        return values
    codes = {name: code for code, name in enumerate(_categories(column, given))}
    recoded = np.array([*(codes[name] for name in given.categories), np.nan])
    found: NDArray[np.float64] = recoded[np.where(np.isnan(values), len(recoded) - 1, values).astype(np.int64)]
    return found


def _errors(missing: dict[str, int], dropped: Sequence[str]) -> list[str]:
    if not missing:
        return []
    listed = ", ".join(f"{name!r} ({count:,} row{'s' * (count != 1)})" for name, count in missing.items())
    return [
        f"no training row lacks a value of {listed}, but given validation or test rows do, and nothing is learned of "
        f"what that means; fill the values in, leave out these rows, or use --drop {shlex.join([*dropped, *missing])}"
    ]
