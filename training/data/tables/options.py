"""The options of a table: which columns to use, and how to read its cells."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.cells import DECIMALS, THOUSANDS, Cells, strip
from training.data.dataset import join_names
from training.data.kind import DataOption
from training.data.tables.dates import ORDERS, DateOptions
from training.data.tables.frames import Frame
from training.data.tables.numbers import Rules
from training.data.tables.targets import TASKS
from training.errors import OptionError, joined

_MAX_LISTED: Final = 20
# Options that say contrary things about a column.
_CONTRARY: Final = (
    ("--drop", "--keep"),
    ("--categorical", "--numeric"),
    ("--target", "--datetime"),
    ("--categorical", "--datetime"),
    ("--numeric", "--datetime"),
    ("--drop", "--datetime"),
)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Choices that override what the columns look like; each field is a command-line option.

    ``targets`` are the columns to predict, ``task`` is one of `TASKS`. ``categorical`` features are treated as
    categories even if they look like numbers or dates, ``numeric`` columns are numbers, and ``datetime`` ones dates,
    missing where there is something else; ``date_order``, one of `ORDERS`, says what comes first in dates. Columns in
    ``drop`` are left out, those in ``keep`` are not, although they look like ids or have a different string in almost
    every row. ``missing`` are the strings that stand for a missing value in every column; None means the default ones.
    ``decimal`` and ``thousands`` are the marks in numbers.

    ``test`` and ``validation`` are files with the rows of these parts. The columns ``split``, ``group``, ``time`` and
    ``weight`` say for each row its part, what may not be divided, when it was, and how much it counts; they are no
    features.
    """

    targets: tuple[str, ...] = ()
    task: str = "auto"
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = None
    decimal: str | None = None
    thousands: str | None = None
    datetime: tuple[str, ...] = ()
    date_order: str = ORDERS[0]
    test: Path | Frame | None = None
    validation: Path | Frame | None = None
    split: str | None = None
    group: str | None = None
    time: str | None = None
    weight: str | None = None

    @property
    def roles(self) -> list[str]:
        """The columns that say something about the rows."""
        return [name for name in self._by_flag().values() if name]

    @property
    def left_out(self) -> list[str]:
        """The columns that are neither features nor targets."""
        return list(dict.fromkeys([*self.drop, *self.roles]))

    def _by_flag(self) -> dict[str, str | None]:
        return {"--split": self.split, "--group": self.group, "--time": self.time, "--weight": self.weight}

    def cells(self) -> Cells:
        """Return the rules for reading cells. Raises `OptionError`."""
        thousands = self.thousands or ""
        decimal = self.decimal or ("," if thousands == "." else ".")
        if decimal not in DECIMALS:
            raise OptionError(f"--decimal is {decimal!r}, expected one of {' '.join(DECIMALS)}")
        if thousands not in ("", *THOUSANDS):
            raise OptionError(f"--thousands is {thousands!r}, expected one of {' '.join(map(shlex.quote, THOUSANDS))}")
        if decimal == thousands:
            raise OptionError(f"--decimal and --thousands are both {decimal!r}, expected different marks")
        if self.missing is None:
            return Cells(decimal=decimal, thousands=thousands)
        missing = tuple(dict.fromkeys(string for string in map(strip, self.missing) if string))
        return Cells(missing, missing, decimal, thousands)

    def rules(self, *, comma: bool = False) -> Rules:
        """Return the rules for reading columns; ``comma`` suggests a decimal comma. Raises `OptionError`."""
        fixed = self.decimal is not None or self.thousands is not None
        return Rules(self.cells(), fixed=fixed, comma=comma, numeric=self.numeric)

    def dates(self) -> DateOptions:
        """Return the rules for reading dates."""
        return DateOptions(self.date_order, self.datetime)

    def check_names(self, path: Path | Frame, names: Sequence[str]) -> None:
        """Raise `OptionError` with all options that do not fit the table's column ``names``, or each other."""
        if not self.targets:
            raise OptionError(f"{path} needs a target; name a column with --target: {join_names(names, _MAX_LISTED)}")
        faults = [*self._unknown(path, names), *self._conflicts(), *self._conflicts_of_roles()]
        if faults:
            raise OptionError(joined("the command", faults))

    def _unknown(self, path: Path | Frame, names: Sequence[str]) -> Iterator[str]:
        """What is wrong with the name of each column alone."""
        roles = {flag: (name,) for flag, name in self._by_flag().items() if name}
        for flag, columns in {**self._columns(), **roles}.items():
            for name in dict.fromkeys(columns):
                if name not in names:
                    yield f"{flag}: {path} has no column {name!r}; {_suggestion(name, names)}"
                if columns.count(name) > 1:
                    yield f"{flag} has {name!r} twice; name it once"

    def _conflicts(self) -> Iterator[str]:
        for name in dict.fromkeys(self.targets):
            if name in self.drop:
                yield f"{name!r} is in both --target and --drop; to predict it, do not drop it"
            if name in self.categorical:
                yield f"{name!r} is in both --target and --categorical; to predict it, use --task classification"
        flags = self._columns()
        for first, second in _CONTRARY:
            for name in dict.fromkeys(flags[first]):
                if name in flags[second]:
                    yield f"{name!r} is in both {first} and {second}, expected one of them"

    def _conflicts_of_roles(self) -> Iterator[str]:
        flags: dict[str, str] = {}
        for flag, name in self._by_flag().items():
            if not name:
                continue
            for other, others in self._columns().items():
                alike = other in ("--drop", "--numeric") or (flag, other) == ("--time", "--datetime")
                if name in others and not alike:
                    yield f"{name!r} is in both {other} and {flag}; a column of {flag} is no feature and no target"
            if name in flags:
                yield f"{name!r} is in both {flags[name]} and {flag}; name it once"
            flags.setdefault(name, flag)
        files = [flag for flag, file in (("--validation", self.validation), ("--test", self.test)) if file]
        if self.split and files:
            yield f"--split and {' and '.join(files)} both say which rows are for what; use one of them"
        if self.group and self.time:
            yield "--group and --time both say how to divide the rows; use one of them, or give the parts with --split"
        if self.time and len(files) == 2:
            yield f"--time has nothing to divide beside {' and '.join(files)}; leave it out"

    def _columns(self) -> dict[str, tuple[str, ...]]:
        return {
            "--target": self.targets,
            "--categorical": self.categorical,
            "--numeric": self.numeric,
            "--datetime": self.datetime,
            "--drop": self.drop,
            "--keep": self.keep,
        }

    def keep_strings_flag(self, name: str) -> str:
        """Return the option that keeps the strings of column ``name``."""
        if name in self.targets:
            return "--task classification"
        return f"--categorical {shlex.join([*self.categorical, name])}"


def _suggestion(name: str, names: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"it has {join_names(names, _MAX_LISTED)}"


_COLUMNS: Final[dict[str, Any]] = {"default": (), "nargs": "+", "metavar": "COLUMN", "convert": tuple}
_FILE: Final[dict[str, Any]] = {"type": Path, "metavar": "FILE"}
OPTIONS: Final = (
    DataOption("targets", "--target", "column to predict; several if they are numeric", **_COLUMNS),
    DataOption(
        "categorical", "--categorical", "treat as categories, even if they look like numbers or dates", **_COLUMNS
    ),
    DataOption("numeric", "--numeric", "read as numbers; other values are missing", **_COLUMNS),
    DataOption("datetime", "--datetime", "read as dates; other values are missing", **_COLUMNS),
    DataOption("drop", "--drop", "leave out", **_COLUMNS),
    DataOption("keep", "--keep", "use, even if it looks like an id or free text", **_COLUMNS),
    DataOption("test", "--test", "file with the test rows, with the same columns", **_FILE),
    DataOption("validation", "--validation", "file with the validation rows, with the same columns", **_FILE),
    DataOption("split", "--split", "column that says train, validation or test for each row", metavar="COLUMN"),
    DataOption("group", "--group", "rows with the same value, such as a patient, stay in one part", metavar="COLUMN"),
    DataOption(
        "time",
        "--time",
        "the latest rows are for test and those before them for validation: numbers, dates or ISO 8601",
        metavar="COLUMN",
    ),
    DataOption(
        "weight",
        "--weight",
        "how much each row counts, in training, validation, calibration and scores: numbers of at least 0",
        metavar="COLUMN",
    ),
    DataOption(
        "missing",
        "--missing",
        "strings that mean a missing value in every column, besides the empty one (default: NA, nan, null, None, ? and "
        "similar in columns of numbers or booleans; NA, NaN, null and ? in string columns of text files)",
        nargs="*",
        metavar="STRING",
        convert=tuple,
    ),
    DataOption("decimal", "--decimal", "decimal mark, . or , (default: found for each column)", metavar="MARK"),
    DataOption(
        "thousands",
        "--thousands",
        "thousands separator, one of . , ' or a space (default: found for each column)",
        metavar="MARK",
    ),
    DataOption(
        "date_order",
        "--date-order",
        "what comes first in dates such as 01/02/2020, if no date tells; auto: the month, but the day in 01.02.2020",
        default=ORDERS[0],
        choices=ORDERS,
    ),
    DataOption(
        "task",
        "--task",
        "auto: strings, booleans and integers with few distinct values are classes",
        default=TASKS[0],
        choices=TASKS,
    ),
)
