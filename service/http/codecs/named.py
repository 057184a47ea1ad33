"""Columns by name: finds a model's features among the names that a client sent, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

from service.cells import name_of
from service.errors import Fault, InvalidInput
from service.inference.columns import Column
from service.inference.row_faults import MOST_ERRORS
from service.inference.schema import Schema

_SHOWN: Final = 5
_NAME_CHARS: Final = 60

T = TypeVar("T")


def renamed(values: dict[str, T], schema: Schema) -> dict[str, T]:
    """``values`` by the names of the model's columns, where their own differ by blanks or line breaks alone."""
    own = _own_names(values, schema)
    if not own or len(set(own.values())) != len(own):
        return values
    return {own.get(name, name): value for name, value in values.items()}


def _own_names(names: Collection[str], schema: Schema) -> dict[str, str]:
    """The ``names`` that training writes in another way, as `name_of` does, and what it made of them."""
    known, ignored = schema.names, schema.ignored
    others = {name: name_of(name) for name in names if name not in known and name not in ignored}
    return {
        name: plain for name, plain in others.items() if (plain in known or plain in ignored) and plain not in names
    }


def positions(names: Sequence[str], schema: Schema, *, ignore_unknown: bool) -> list[int | None]:
    """For each feature the index of its column among ``names``; None for one that is absent and may be missing.

    Raises `InvalidInput` if a name is there twice, for features that are absent, and for unknown names unless they are
    ignored.
    """
    if own := _own_names(dict.fromkeys(names), schema):
        names = [own.get(name, name) for name in names]
    found = {name: index for index, name in enumerate(names)}
    if len(found) != len(names):
        ignored = found.keys() - schema.names.keys() if ignore_unknown else schema.ignored
        for name, times in Counter(names).items():
            if times > 1 and name not in ignored:
                raise InvalidInput(Fault(f"there are several columns {name!r:.60}; send one", feature=printable(name)))
    check_names(found, schema, "the table", None, ignore_unknown=ignore_unknown)
    return [found.get(column.name) for column in schema.columns]


def values_by_name(index: int, row: dict[str, Any], schema: Schema, *, ignore_unknown: bool) -> list[Any]:
    """The values of row ``index``, an object by feature name; None for a feature that is absent and may be missing."""
    if row.keys() != schema.names.keys():
        row = renamed(row, schema)
        check_names(row, schema, f"row {index}", index, ignore_unknown=ignore_unknown)
        return [row.get(name) for name in schema.names]
    return [row[name] for name in schema.names]


def check_names(names: Collection[str], schema: Schema, where: str, row: int | None, *, ignore_unknown: bool) -> None:
    """Raise `InvalidInput` unless every feature that must be there is among ``names``, and no unknown one is."""
    unknown: list[str] = []
    if not ignore_unknown:
        unknown = [name for name in names if name not in schema.names and name not in schema.ignored]
    absent = [column.name for column in schema.columns if column.name not in names and not column.missing]
    if absent:
        listed = _features(absent).removeprefix("a ")
        detail = f"{where} has no {listed}; send {_all_of(schema.columns)}{_beside(unknown)}"
        more = [Fault(f"{where} has no feature {name!r:.60}", row, name) for name in absent[1:MOST_ERRORS]]
        raise InvalidInput(Fault(detail, row, absent[0]), more=more)
    if unknown:
        them = "it" if len(unknown) == 1 else "them"
        detail = f"{where} has {_features(unknown)} that the model does not know; leave {them} out"
        raise InvalidInput(Fault(f"{detail}, or say ?ignore_unknown=true", row, printable(unknown[0])))
    if schema.names.keys().isdisjoint(names):
        raise InvalidInput(Fault(f"{where} has none of the model's features; send {_all_of(schema.columns)}", row))


def printable(name: str) -> str:
    """A short ``name`` that UTF-8 can encode: JSON can contain lone surrogates."""
    return name[:_NAME_CHARS].encode(errors="backslashreplace").decode()


def _all_of(columns: Sequence[Column]) -> str:
    optional = any(column.missing for column in columns)
    return f"all {len(columns)}" + (", null for a missing value" if optional else "")


def _beside(unknown: Sequence[str]) -> str:
    verb = "there is" if len(unknown) == 1 else "there are"
    return f" ({verb} {_features(unknown)} that the model does not know)" if unknown else ""


def _features(names: Sequence[str]) -> str:
    shown = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"a feature {shown}" if len(names) == 1 else f"features {shown}{more}"
