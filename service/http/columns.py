"""What the values of one column are, in JSON and in arrays, and the numbers that stand for them in the network."""

from __future__ import annotations

import difflib
import itertools
import json
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from service.errors import Fault, InvalidInput
from service.manifest import Feature

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_SHOWN: Final = 5
_COMPARED: Final = 32
_CANDIDATES: Final = 200  # comparing takes a tenth of a millisecond each at worst


class Column:
    """A column of numbers, and what all columns have in common: a ``missing`` value stands as NaN, where it is taken.

    In arrays its values lie from ``lowest`` to ``highest``, and are ``whole`` numbers or any.
    """

    lowest: float = -FLOAT32_MAX
    highest: float = FLOAT32_MAX
    whole = False
    wanted = "a number"

    def __init__(self, name: str, *, missing: bool) -> None:
        self.name = name
        self.missing = missing

    def number(self, row: int, value: object) -> float:
        """What stands for a JSON value of row ``row``. Raises `InvalidInput`."""
        if (type(value) is float or type(value) is int) and self.lowest <= value <= self.highest:
            return value
        return self._missing(row, value)

    def refusal(self, row: int, number: float) -> InvalidInput:
        """Why ``number``, in row ``row`` of an array, is none that this column takes."""
        return self._refused(row, self._fault(number))

    def _missing(self, row: int, value: object) -> float:
        """NaN, if that is what the value is, and may be."""
        if self.missing and (value is None or value != value):  # noqa: PLR0124 - so NaN is told from all others
            return math.nan
        if value is None:
            raise self._refused(row, f"null, and the model allows no missing value here; send {self.wanted}")
        raise self._refused(row, self._fault(value))

    def _fault(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{kind_of(value)}, expected {self.wanted}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{'NaN' if math.isnan(value) else 'infinite'}, expected a finite number"
        return "larger than float32 holds, expected at most 3.4e38"

    def _refused(self, row: int, fault: str) -> InvalidInput:
        return InvalidInput(Fault(f"row {row}, feature {self.name!r} is {fault}", row=row, feature=self.name))


class Boolean(Column):
    """A column of true and false, in arrays 1 and 0, which JSON may have too."""

    lowest, highest, whole = 0.0, 1.0, True
    wanted = "true or false"

    def number(self, row: int, value: object) -> float:
        """What stands for a JSON value of row ``row``. Raises `InvalidInput`."""
        if isinstance(value, int | float) and value in {0, 1}:
            return float(value)
        return self._missing(row, value)

    def _fault(self, value: object) -> str:
        return f"{_number_or_kind(value)}, expected {self.wanted} (or 1 or 0)"


class Category(Column):
    """A column of texts, each of which stands as its code: in arrays as well, where there is no text.

    Where the model has a category for everything ``other``, no text is unknown.
    """

    lowest, whole = 0.0, True
    wanted = "a text"

    def __init__(self, name: str, categories: Sequence[str], *, missing: bool, other: bool) -> None:
        super().__init__(name, missing=missing)
        self.highest = float(len(categories) - (not other))
        self._codes = {category: float(code) for code, category in enumerate(categories)}
        self._other = float(len(categories)) if other else None

    def number(self, row: int, value: object) -> float:
        """What stands for a JSON value of row ``row``. Raises `InvalidInput`."""
        if type(value) is not str:
            return self._missing(row, value)
        code = self._codes.get(value, self._other)
        if code is None:
            raise self._refused(row, f"{kind_of(value)}, a category the model does not know; {self._nearest(value)}")
        return code

    def refusal(self, row: int, number: float) -> InvalidInput:
        """Why ``number``, in row ``row`` of an array, is none that this column takes."""
        expected = f"the code of a category, a whole number from 0 to {self.highest:.0f}"
        return self._refused(row, f"{_number_or_kind(number)}, expected {expected}")

    def _fault(self, value: object) -> str:
        return f"{_number_or_kind(value)}, expected {self.wanted} such as {next(iter(self._codes))!r:.60}"

    def _nearest(self, value: str) -> str:
        folded = {category.casefold(): category for category in itertools.islice(self._codes, _CANDIDATES)}
        near = difflib.get_close_matches(value[:_COMPARED].casefold(), folded)
        if near:
            return f"did you mean {' or '.join(repr(folded[each]) for each in near)}?"
        shown = ", ".join(f"{category!r:.60}" for category in itertools.islice(self._codes, _SHOWN))
        more = len(self._codes) - _SHOWN
        return f"it knows {shown}" + (f" and {more} more" if more > 0 else "")


def of(feature: Feature) -> Column:
    """The column that a feature of a published model is."""
    if feature.kind == "categorical":
        return Category(feature.name, feature.categories, missing=feature.missing, other=feature.other)
    return (Boolean if feature.kind == "boolean" else Column)(feature.name, missing=feature.missing)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return f"the text {value!r:.60}"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def _number_or_kind(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.6g}" if isinstance(value, float) else f"{value!r:.60}"
    return kind_of(value)
