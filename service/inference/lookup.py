"""The encodings of a column's values as a mapping, which is the fastest way to look many up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

# Integers up to here are exact in float64.
EXACT: Final = 2.0**53


class Lookup(dict[Any, float]):
    """The encodings of the most frequent values of a column; those of all others are found one by one.

    A subscript raises `InvalidInput`, or `ValueError` for a number that a parser may have rounded.
    """

    def __init__(self, number: Callable[[int, Any], float], frequent: Mapping[Any, float]) -> None:
        super().__init__(frequent)
        self._number = number

    def __missing__(self, value: object) -> float:
        if type(value) is float and abs(value) > EXACT:
            raise ValueError(value)
        return self._number(0, value)
