"""The options of a table: which columns to use, and how to read its cells."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.cells import DECIMALS, THOUSANDS, Cells, strip
from training.data.dataset import join_names
from training.data.kind import DataOption
from training.data.tables.numbers import Rules
from training.data.tables.targets import TASKS
from training.errors import OptionError

_MAX_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Choices that override what the columns look like; each field is a command-line option.

    ``targets`` are the columns to predict, ``task`` is one of `TASKS`. ``categorical`` features are treated as
    categories even if they look like numbers, and ``numeric`` columns are numbers, missing where there is something
    else. Columns in ``drop`` are left out, those in ``keep`` are not, although they look like ids or have a different
    string in almost every row. ``missing`` are the strings that stand
    for a missing value in every column; None means the default ones. ``decimal`` and ``thousands`` are the marks in
    numbers.
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

    def check_names(self, path: Path, names: Sequence[str]) -> None:
        """Raise `OptionError` if an option does not fit the table's column ``names``."""
        if not self.targets:
            raise OptionError(f"{path} needs a target; name a column with --target: {join_names(names, _MAX_LISTED)}")
        for flag, chosen in self._columns().items():
            for name in chosen:
                if name not in names:
                    raise OptionError(f"{flag}: {path} has no column {name!r}; {_suggestion(name, names)}")
                if chosen.count(name) > 1:
                    raise OptionError(f"{flag} has {name!r} twice; name it once")
        for name in self.targets:
            if name in self.drop:
                raise OptionError(f"{name!r} is in both --target and --drop; to predict it, do not drop it")
            if name in self.categorical:
                raise OptionError(
                    f"{name!r} is in both --target and --categorical; to predict it, use --task classification"
                )

        self._check_opposites()

    def _check_opposites(self) -> None:
        flags = self._columns()
        for first, second in (("--drop", "--keep"), ("--categorical", "--numeric")):
            if both := [name for name in flags[first] if name in flags[second]]:
                raise OptionError(f"{both[0]!r} is in both {first} and {second}, expected one of them")

    def _columns(self) -> dict[str, tuple[str, ...]]:
        return {
            "--target": self.targets,
            "--categorical": self.categorical,
            "--numeric": self.numeric,
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
OPTIONS: Final = (
    DataOption("targets", "--target", "column to predict; several if they are numeric", **_COLUMNS),
    DataOption("categorical", "--categorical", "treat as categories, even if they look like numbers", **_COLUMNS),
    DataOption("numeric", "--numeric", "read as numbers; what is no number is missing", **_COLUMNS),
    DataOption("drop", "--drop", "leave out", **_COLUMNS),
    DataOption("keep", "--keep", "use, even if it looks like an id or has a string of its own in each row", **_COLUMNS),
    DataOption(
        "missing",
        "--missing",
        "strings that mean a missing value, in every column, besides the empty one (default: NA, nan, null, None, ? "
        "and similar in columns of numbers or booleans, none in others)",
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
        "task",
        "--task",
        "auto: strings, booleans and integers with few distinct values are classes",
        default=TASKS[0],
        choices=TASKS,
    ),
)
