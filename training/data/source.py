"""The registry of data kinds: finds the kind of a DATA argument and loads it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from training.data import bundled, fashion_mnist
from training.data.dataset import Dataset
from training.data.images import arrays, picture_folder
from training.data.kind import DataKind, DataOption, Track, untracked
from training.data.tables import table_kind
from training.errors import DataError, OptionError

KINDS: Final[tuple[DataKind, ...]] = (
    table_kind.KIND,
    arrays.KIND,
    fashion_mnist.KIND,
    bundled.KIND,
    picture_folder.KIND,
)


def kind_of(data: str, kinds: Sequence[DataKind] = KINDS) -> DataKind | None:
    """Return the first kind that accepts ``data``."""
    return next((kind for kind in kinds if kind.accepts(data)), None)


def names(kinds: Sequence[DataKind] = KINDS) -> tuple[str, ...]:
    """Return the data sets that are known by name."""
    return tuple(name for kind in kinds for name in kind.names)


def paths(kinds: Sequence[DataKind] = KINDS) -> tuple[str, ...]:
    """Return descriptions of the kinds that are given as a path."""
    return tuple(kind.description for kind in kinds if not kind.names)


def option_groups(kinds: Sequence[DataKind] = KINDS) -> list[tuple[DataKind, list[DataOption]]]:
    """Return the kinds that have options, each with those that no earlier kind has."""
    groups, seen = [], set[str]()
    for kind in kinds:
        if own := [option for option in kind.options if option.name not in seen]:
            groups.append((kind, own))
            seen.update(option.name for option in own)
    return groups


def load(
    data: str,
    options: Mapping[str, Any] = MappingProxyType({}),
    track: Track = untracked,
    kinds: Sequence[DataKind] = KINDS,
) -> Dataset:
    """Load the data set with that name or path.

    ``options`` are values of `DataOption` by name; a missing one has its default. ``track`` shows progress. Raises
    `DataError`, and `OptionError` if an option is not for this kind of data or does not fit it.
    """
    kind = kind_of(data, kinds)
    own = {option.name: option.default for option in kind.options} if kind else {}
    for other in kinds:
        given = [each for each in other.options if options.get(each.name, each.default) != each.default]
        if foreign := [each.flag for each in given if each.name not in own]:
            flags = ", ".join(foreign)
            raise OptionError(f"{flags} can only be used with {other.description}, which {data!r} is not")
    if kind is None:
        raise DataError(f"unknown data set {data!r}; {_remedy(data, kinds)}")
    return kind.load(data, {name: options.get(name, default) for name, default in own.items()}, track)


def _remedy(data: str, kinds: Sequence[DataKind]) -> str:
    nearest = difflib.get_close_matches(data, names(kinds), n=1)
    if nearest:
        return f"did you mean {nearest[0]}?"
    return f"expected one of {', '.join(names(kinds))}; or a path: {', '.join(paths(kinds))}"
