"""A kind of data the command line can train on: what it accepts, its options, how it loads.

To add one, write a file with a `DataKind` and list it in `training.data.source.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.data.dataset import Dataset

Track = Callable[[Iterable[Any], int], AbstractContextManager[Iterable[Any]]]
"""Wraps items and their count for a progress bar: inside the context it yields the same items."""


def untracked(items: Iterable[Any], count: int) -> AbstractContextManager[Iterable[Any]]:  # noqa: ARG001
    """`Track` without a progress bar."""
    return nullcontext(items)


@dataclass(frozen=True, slots=True)
class DataOption:
    """One command-line option. ``type``, ``nargs``, ``choices`` and ``metavar`` are those of argparse.

    ``name`` is the key under which the loader receives the value. ``convert`` turns the parsed value into the one the
    loader receives; it may raise `OptionError`. ``default`` is what the loader receives if the option is not given.
    """

    name: str
    flag: str
    help: str
    default: Any = None
    type: Callable[[str], Any] | None = None
    nargs: str | int | None = None
    choices: tuple[str, ...] | None = None
    metavar: str | tuple[str, ...] | None = None
    convert: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class DataKind:
    """One kind of data.

    ``description`` names it in help and errors, such as ``a folder of pictures``.
    ``load`` takes DATA, the values of ``options`` by name, and a `Track`; it raises `DataError` and `OptionError`.
    It accepts DATA that is one of ``names``, a path with one of ``suffixes`` (lower case, with the dot), or a path of a
    folder for which ``folders`` is true.
    ``options_help`` introduces ``options`` in the help.
    ``defaults`` are fields of `Config` that suit this kind better than the recipe's.
    """

    description: str
    load: Callable[[str, Mapping[str, Any], Track], Dataset]
    names: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    folders: Callable[[Path], bool] = lambda _path: False
    options: tuple[DataOption, ...] = ()
    options_help: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def accepts(self, data: str) -> bool:
        """Return whether DATA is of this kind."""
        return data in self.names or self._accepts_path(Path(data))

    def _accepts_path(self, path: Path) -> bool:
        return self.folders(path) if path.is_dir() else path.suffix.lower() in self.suffixes
