"""Parse the command line of `mlp-tune`: the options of training, and those of the search."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.cli import parser
from training.config import Constraint, Interval, Kind, flag_of, mismatch
from training.data import source
from training.data.kind import DataKind
from training.errors import OptionError
from training.run.search import spaces

_DESCRIPTION: Final = (
    "Search options that suit the data: train many networks, choose the one with the lowest loss on the validation "
    "rows, and publish it for mlp-serve. The first trial has the options of mlp-train."
)
_EXAMPLES: Final = """examples:
  mlp-tune houses.csv --target price
  mlp-tune houses.csv --target price --trials 100 --timeout-s 3600
  mlp-tune houses.csv --target price --lr 0.003 --search hidden dropout
  mlp-tune houses.csv --target price --no-publish --storage postgresql://user@host/studies
"""
_SEARCH: Final = ("trials", "timeout_s", "search", "storage", "study", "publish")
_BOUNDS: Final[dict[str, Constraint]] = {
    "trials": Interval(1, 1_000_000, integer=True),
    "timeout_s": Interval(0, open_low=True),
}


@dataclass(frozen=True, slots=True)
class TuneCommand:
    """A parsed command line: that of training, and the options of the search.

    ``search`` are the fields to search, None for the usual ones that ``training`` does not fix. ``storage`` is a file
    or a URL, ``study`` a name; None means those that the model's name gives.
    """

    training: parser.Command
    trials: int
    timeout_s: float | None
    search: tuple[str, ...] | None
    storage: str | None
    study: str | None
    publish: bool

    def place(self, name: str) -> str:
        """The storage of a search for model ``name``."""
        return self.storage or str(Path("searches") / f"{name}.db")


def parse(arguments: Sequence[str], kinds: Sequence[DataKind] = source.KINDS) -> TuneCommand:
    """Parse the ``arguments``. Prints help or an error and exits if there is nothing to run. Raises `OptionError`."""
    command = parser.new_parser("mlp-tune", _DESCRIPTION, _EXAMPLES, kinds)
    _add_search(command.add_argument_group("search", "training options that are set are not searched"))
    given = vars(command.parse_args(arguments))
    own: dict[str, Any] = {name: given.pop(name) for name in _SEARCH}
    for name, bounds in _BOUNDS.items():
        if own[name] is not None and (fault := mismatch(flag_of(name), own[name], bounds)):
            raise OptionError(fault)
    own["search"] = None if own["search"] is None else tuple(own["search"])
    text = f"python -m training.cli.tune {shlex.join(arguments)}"
    return TuneCommand(parser.command_of(given, text, kinds), **own)


def _add_search(group: Any) -> None:
    group.add_argument(
        "--trials",
        type=int,
        metavar="N",
        default=30,
        help="total trials of the study, including those of earlier commands and other processes (default: 30)",
    )
    group.add_argument(
        "--timeout-s",
        type=float,
        metavar="S",
        default=None,
        help="stop the search after this many seconds (default: never)",
    )
    group.add_argument(
        "--search",
        nargs="+",
        metavar="OPTION",
        default=None,
        help=f"options to search, of {', '.join(spaces.fields())} (default: {_defaults('image')} for images; "
        f"{_defaults('table')} for tables)",
    )
    group.add_argument(
        "--storage",
        metavar="FILE|URL",
        default=None,
        help="where the study is stored, to resume or share it: an SQLite file, a journal (.journal), or the URL of "
        "a database for several machines (default: searches/NAME.db)",
    )
    group.add_argument("--study", metavar="NAME", default=None, help="name of the study (default: that of the model)")
    group.add_argument(
        "--publish",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train the best settings again and publish; --no-publish for helper processes (default: on)",
    )


def _defaults(kind: Kind) -> str:
    return ", ".join(spaces.SEARCHED[kind])
