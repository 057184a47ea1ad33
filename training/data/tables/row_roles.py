"""What --split, --group, --time and --weight say of each row: its part, its group, its time and its weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from service.cells import BLANKS
from training.data.dataset import PART_NAMES, REST, TEST, VALIDATION, Division, join_names
from training.data.tables import columns, parsing, times
from training.data.tables.dates import DateOptions
from training.data.tables.numbers import Rules
from training.data.tables.options import TableOptions
from training.data.tables.part_files import Files

_SPELLINGS: Final = {
    REST: ("train", "training", "trn"),
    VALIDATION: ("validation", "validate", "valid", "val", "dev", "development"),
    TEST: ("test", "testing", "tst", "holdout", "hold-out", "held-out"),
}
_PARTS: Final = {spelling: part for part, spellings in _SPELLINGS.items() for spelling in spellings}
_MAX_LISTED: Final = 5


@dataclass(frozen=True, slots=True)
class RowRoles:
    """How to divide the rows, and their ``weights`` float64 (rows,) or None. With ``errors`` it cannot be used."""

    division: Division
    weights: NDArray[np.float64] | None
    notes: Sequence[str]
    errors: Sequence[str]


def roles_of(table: pa.Table, files: Files, parts: NDArray[np.int8], options: TableOptions, rules: Rules) -> RowRoles:
    """Read the columns of ``table`` that ``options`` name for a role.

    ``parts`` int8 (rows,) are those of ``files``, for the rows of ``table``.
    """
    roles = _Roles(table, rules, options.dates())
    given = dict(files.given)
    if options.split:
        parts = roles.parts(options.split)
        given = {
            PART_NAMES[part]: f"those that column {options.split!r} says"
            for part in (VALIDATION, TEST)
            if bool((parts == part).any())
        }
    if not (parts == REST).any():
        roles.errors.append(f"no row is left to train on: every row with a target is for {' or '.join(given)}")
    groups = roles.groups(options.group, parts) if options.group else None
    weights = roles.weights(options.weight) if options.weight else None
    ordered = roles.times(options.time, parts) if options.time else None
    if ordered is not None and len(given) == 2:
        roles.errors.append("--time has nothing to divide, as validation and test rows are given; leave it out")
    division = Division(parts if given else None, given, groups, ordered, column=options.group or options.time or "")
    return RowRoles(division, weights, roles.notes, roles.errors)


def parts_of(name: str, array: pa.ChunkedArray) -> tuple[NDArray[np.int8], str]:
    """The part that column ``name`` says for each row, (rows,), and what is wrong with it, empty if nothing is."""
    strings = pc.fill_null(pc.utf8_trim(columns.to_strings(array), characters=BLANKS), "")
    counts = columns.count(strings)
    known = {string: _PARTS[string.lower()] for string in counts if string.lower() in _PARTS}
    unknown = [f"{string!r:.60} ({count:,} rows)" for string, count in counts.items() if string not in known]
    listed = join_names(unknown, _MAX_LISTED)
    error = f"--split: column {name!r} has {listed}, expected train, validation or test in each row"
    found = pc.index_in(strings, value_set=pa.array(list(known), pa.string())).fill_null(0).to_numpy()
    codes = np.array([*known.values()] or [REST], np.int8)
    return codes[found], error if unknown else ""


class _Roles:
    """Reads columns, and collects notes and errors."""

    def __init__(self, table: pa.Table, rules: Rules, dates: DateOptions) -> None:
        self._table = table
        self._rules = rules
        self._dates = dates
        self.notes: list[str] = []
        self.errors: list[str] = []

    def _strings(self, name: str) -> pa.ChunkedArray:
        return parsing.as_strings(columns.to_strings(self._table[name]), self._rules.cells).array

    def parts(self, name: str) -> NDArray[np.int8]:
        """The part of each row."""
        parts, error = parts_of(name, self._table[name])
        if error:
            self.errors.append(error)
        rows = {part: int((parts == part).sum()) for part in PART_NAMES}
        listed = ", ".join(f"{count:,} for {PART_NAMES[part]}" for part, count in rows.items() if count)
        self.notes.append(f"column {name!r} divides the rows ({listed}), and is not a feature")
        return parts

    def groups(self, name: str, parts: NDArray[np.int8]) -> NDArray[np.int64]:
        """A number for each group; a row without a value is a group of its own."""
        names, codes = columns.encode(self._strings(name))
        missing = np.isnan(codes)
        groups = np.where(missing, 0, codes).astype(np.int64)
        groups[missing] = len(names) + np.arange(missing.sum())
        alone = f"; {missing.sum():,} rows have no value, and each is a group of its own" if missing.any() else ""
        self.notes.append(f"column {name!r} has {len(names):,} groups, and is not a feature{alone}")
        masks = np.zeros(len(names) + int(missing.sum()), np.int8)
        np.bitwise_or.at(masks, groups, np.left_shift(np.int8(1), parts))
        torn = np.flatnonzero(masks & (masks - 1))
        if len(torn):
            listed = join_names([f"{names[group]!r:.60}" for group in torn], _MAX_LISTED)
            where = " and ".join(PART_NAMES[part] for part in PART_NAMES if masks[torn[0]] & (1 << part))
            self.errors.append(
                f"--group: rows with {listed} in column {name!r} are given to more than one part ({where} rows for "
                f"{names[torn[0]]!r:.60}); give all rows of a group to one part"
            )
        return groups

    def times(self, name: str, parts: NDArray[np.int8]) -> NDArray[np.float64] | None:
        """A number for each row, in the order of the times; None after an error."""
        array = self._table[name]
        order = times.order_of(name, array, self._rules, self._dates)
        if order is None:
            example = next((repr(value) for value in array.to_pylist()[:1000] if value not in (None, "")), "no value")
            self.errors.append(
                f"--time: column {name!r} has {example:.60} ({array.type}), expected numbers, dates, or texts such as "
                "2024-05-17 or 2024-05-17T08:30:00 in each row; write it so"
            )
            return None
        found = order.numbers
        if missing := int(np.isnan(found).sum()):
            self.errors.append(
                f"--time: column {name!r} has no value in {_rows(missing)}; fill them in, or leave them out"
            )
            return None
        self.notes += [f"column {name!r} orders the rows by time, and is not a feature", *order.notes]
        later = {part: found[parts == part] for part in PART_NAMES}
        if any(
            len(later[part]) and later[part].min() < later[REST].max(initial=-np.inf) for part in (VALIDATION, TEST)
        ):
            self.notes.append(f"some of the given validation or test rows are earlier than training rows by {name!r}")
        return found

    def weights(self, name: str) -> NDArray[np.float64] | None:
        """The weight of each row; None after an error."""
        array = self._table[name]
        if columns.is_string(array):
            parsed = parsing.infer(name, array, self._rules, "")
            if parsed.errors and columns.is_numeric(parsed.array):
                self.errors += parsed.errors
                return None
            array = parsed.array
        if not columns.is_numeric(array):
            example = next((repr(value) for value in self._table[name].to_pylist()[:1000] if value), "no value")
            self.errors.append(f"--weight: column {name!r} has {example:.60}, expected numbers of at least 0")
            return None
        found = columns.to_numbers(array)
        unfit = {"has no value": np.isnan(found), "is negative": found < 0, "is infinite": np.isinf(found)}
        faults = [f"{what} in {_rows(int(rows.sum()))}" for what, rows in unfit.items() if rows.any()]
        if faults:
            self.errors.append(f"--weight: column {name!r} {' and '.join(faults)}, expected numbers of at least 0")
            return None
        if not found.any():
            self.errors.append(f"--weight: column {name!r} is 0 in every row, expected a sum above 0")
            return None
        self.notes.append(
            f"column {name!r} weights the rows, from {found.min():g} to {found.max():g}, and is not a feature"
        )
        return found


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
