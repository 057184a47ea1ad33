"""What the user says about a table: which columns to use, how to read its cells, and the options for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Final

from service.cells import DECIMALS, THOUSANDS, Cells, strip
from training.data.kind import DataOption
from training.data.tables.targets import TASKS
from training.errors import OptionError


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Choices that override what the columns look like; each field is a command-line option.

    ``targets`` are the columns to predict, ``task`` is one of `TASKS`. ``categorical`` features are treated as
    categories even if they look like numbers; columns in ``drop`` are left out. ``missing`` are the strings that stand
    for a missing value in every column; None means the default ones. ``decimal`` and ``thousands`` are the marks in
    numbers.
    """

    targets: tuple[str, ...] = ()
    task: str = "auto"
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
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


def _columns(name: str, flag: str, meaning: str) -> DataOption:
    many: dict[str, Any] = {"nargs": "+", "metavar": "COLUMN", "convert": tuple}
    return DataOption(name, flag, meaning, default=(), **many)


OPTIONS: Final = (
    _columns("targets", "--target", "column to predict; several if they are numeric"),
    _columns("categorical", "--categorical", "treat as categories, even if the values look like numbers"),
    _columns("drop", "--drop", "leave out"),
    DataOption(
        "missing",
        "--missing",
        "strings that mean a missing value, in every column, besides the empty one (default: NA, nan, null, None, ? "
        "and similar in columns of numbers or booleans, none in others)",
        nargs="*",
        metavar="STRING",
        convert=tuple,
    ),
    DataOption("decimal", "--decimal", "decimal mark, . or , (default: .)", metavar="MARK"),
    DataOption(
        "thousands", "--thousands", "thousands separator, one of . , ' or a space (default: none)", metavar="MARK"
    ),
    DataOption(
        "task",
        "--task",
        "auto: strings, booleans and integers with few distinct values are classes",
        default=TASKS[0],
        choices=TASKS,
    ),
)
