"""The values that a column accepts in JSON and in arrays, and the numbers that encode them for the network."""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeGuard

import numpy as np

from service import dates
from service.cells import BOOLEANS, Cells, number_of, spellings_of, strip
from service.dates import DateFormat
from service.errors import Fault, InvalidInput
from service.inference.lookup import Lookup
from service.manifest import Feature

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
# An unknown category that is to be imputed, until `imputation` does it; no number of a client's is infinite.
UNKNOWN: Final = -math.inf

_SHOWN: Final = 5
_DEFAULT_CELLS: Final = Cells()
_REFUSAL: Final = "the model allows no missing value here"
_NO_DEFAULT: Final = f"{_REFUSAL}, and was published without a default for one"
_BOOLEAN_WORDS: Final = frozenset((*spellings_of(True), *spellings_of(False)))
_INTEGER: Final = re.compile(r"(0|-?[1-9][0-9]{0,15})(?:\.0)?")  # exact in float64
_MAX_BITS: Final = 1330  # of an integer of 400 digits
_MAX_DIGITS: Final = 10**9  # more than a date of digits alone has
_COMPARED: Final = 32
_CANDIDATES: Final = 200  # comparing takes a tenth of a millisecond each at worst


class Column:
    """A column of numbers, and the base of all columns. If values may be ``missing``, a missing one is encoded as NaN.

    In arrays, values range from ``lowest`` to ``highest``, and are integers if ``whole``; ``sentinels`` among them mean
    a missing value. A string is parsed by the rules ``cells``, as in training; without them, strings are rejected.
    ``refusal`` is why a missing value is rejected.
    """

    lowest: float = -FLOAT32_MAX
    highest: float = FLOAT32_MAX
    whole = False
    wanted = "a number"
    sentinels: frozenset[float] = frozenset()

    def __init__(self, name: str, *, missing: bool, cells: Cells | None = None, refusal: str = _REFUSAL) -> None:
        self.name = name
        self.missing = missing
        self.cells = cells
        self.refusal = refusal
        self.marks = frozenset(("", *self._marks_of(cells or _DEFAULT_CELLS)))
        if cells is not None and cells.units and self.wanted == Column.wanted:
            self.wanted = f"a number in {cells.units[0]}"

    @property
    def lookup(self) -> Lookup:
        """The encodings of JSON values as a mapping."""
        return Lookup(self.number, {**self._frequent, None: math.nan} if self.missing else self._frequent)

    @property
    def cell_lookup(self) -> Lookup:
        """The encodings of cells of a text table as a mapping."""
        return Lookup(self.cell, self._frequent_cells)

    @property
    def _frequent(self) -> Mapping[Any, float]:
        return {}

    @property
    def _frequent_cells(self) -> Mapping[str, float]:
        return {}

    def number(self, row: int, value: object) -> float:
        """The encoding of a JSON value in row ``row``. Raises `InvalidInput`."""
        if (type(value) is float or type(value) is int) and self.lowest <= value <= self.highest:
            return value
        if type(value) is str and self.cells is not None:
            return self._read(row, value, self.cells)
        return self._missing(row, value)

    def cell(self, row: int, text: str) -> float:
        """The encoding of a cell in row ``row`` of a text table. Raises `InvalidInput`."""
        return self._read(row, text, self.cells or _DEFAULT_CELLS)

    def value(self, number: float) -> object:
        """The JSON value whose encoding is ``number``; None for a missing one."""
        return None if math.isnan(number) else number

    def error(self, row: int, number: float) -> InvalidInput:
        """The error for ``number``, in row ``row`` of an array, which this column does not accept."""
        return self._error(row, self._fault(number))

    def _marks_of(self, cells: Cells) -> Sequence[str]:
        return cells.missing_numbers

    def _read(self, row: int, text: str, cells: Cells) -> float:
        stripped = strip(text)
        if stripped in self.marks:
            return self._marked(row, text)
        number = self._number_in(stripped, cells)
        if number is None:
            raise self._error(row, self._fault(text))
        return self.number(row, number)

    def _number_in(self, stripped: str, cells: Cells) -> float | None:
        return cells.number(stripped)

    def _marked(self, row: int, value: object) -> float:
        """NaN for a value that means a missing one. Raises `InvalidInput` if none may be missing."""
        if self.missing:
            return math.nan
        raise self._error(
            row,
            f"{number_or_type(value)}, which stands for a missing value, and {self.refusal}; send {self.wanted}",
        )

    def _missing(self, row: int, value: object) -> float:
        """NaN for null and NaN, if a value may be missing. Raises `InvalidInput` for everything else."""
        if self.missing and (value is None or value != value):  # noqa: PLR0124 - true for NaN alone
            return math.nan
        if value is None:
            raise self._error(row, f"null, and {self.refusal}; send {self.wanted}")
        raise self._error(row, self._fault(value))

    def _fault(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{type_name(value)}, expected {self.wanted}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{'NaN' if math.isnan(value) else 'infinite'}, expected a finite number"
        return "larger than float32 holds, expected at most 3.4e38"

    def _error(self, row: int, fault: str, hint: Callable[[], str] | None = None) -> InvalidInput:
        detail = f"row {row}, feature {self.name!r} is {fault}"
        return InvalidInput(Fault(detail, row=row, feature=self.name), hint)


class Pixel(Column):
    """A column of pixels, from 0 for black to 255 for white."""

    lowest, highest = 0.0, 255.0
    wanted = "a pixel from 0 to 255"

    def _fault(self, value: object) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return f"{number_or_type(value)}, expected {self.wanted}; send it as it is in the image, not scaled"
        return super()._fault(value)


class Marked(Column):
    """A column of numbers of which some, its ``sentinels``, mean a missing value, such as -999."""

    def __init__(self, name: str, *, missing: bool, cells: Cells, refusal: str = _REFUSAL) -> None:
        super().__init__(name, missing=missing, cells=cells, refusal=refusal)
        self.sentinels = cells.sentinels

    def number(self, row: int, value: object) -> float:
        """The encoding of a JSON value in row ``row``. Raises `InvalidInput`."""
        if (type(value) is float or type(value) is int) and value in self.sentinels:
            return self._marked(row, value)
        return super().number(row, value)


class Boolean(Column):
    """A column of true and false: 1 and 0 in arrays, and optionally in JSON."""

    lowest, highest, whole = 0.0, 1.0, True
    wanted = "true or false"

    @property
    def _frequent(self) -> Mapping[Any, float]:
        return {True: 1.0, False: 0.0} if self.cells is None else {True: 1.0, False: 0.0, **self._frequent_cells}

    @property
    def _frequent_cells(self) -> Mapping[str, float]:
        return {text: float(value) for text, value in BOOLEANS.items() if text not in self.marks}

    def number(self, row: int, value: object) -> float:
        """The encoding of a JSON value in row ``row``. Raises `InvalidInput`."""
        if isinstance(value, int | float) and value in {0, 1}:
            return 1.0 if value else 0.0
        if type(value) is str and self.cells is not None:
            return self._read(row, value, self.cells)
        return self._missing(row, value)

    def value(self, number: float) -> object:
        """The JSON value whose encoding is ``number``; None for a missing one."""
        return None if math.isnan(number) else bool(number)

    def _number_in(self, stripped: str, cells: Cells) -> float | None:  # noqa: ARG002 - the rules do not matter here
        return BOOLEANS.get(stripped)

    def _fault(self, value: object) -> str:
        return f"{number_or_type(value)}, expected {self.wanted} (or 1 or 0)"


class Category(Column):
    """A column of strings, each encoded as its code, which is also what arrays contain.

    If the model has a category for everything ``other``, no string is unknown; if ``imputes``, an unknown one is
    `UNKNOWN`. With rules ``cells``, numbers and booleans are accepted too if there are categories that look like one,
    and in a text table another spelling of the same integer or boolean.
    """

    lowest, whole = 0.0, True
    wanted = "a string"

    def __init__(
        self,
        name: str,
        categories: Sequence[str],
        *,
        missing: bool,
        other: bool,
        cells: Cells | None = None,
        refusal: str = _REFUSAL,
        imputes: bool = False,
    ) -> None:
        super().__init__(name, missing=missing, cells=cells, refusal=refusal)
        self.highest = float(len(categories) - (not other))
        self._codes = {category: float(code) for code, category in enumerate(categories)}
        self._cell_codes = self._codes
        if cells is not None:
            respelled = {other: code for each, code in self._codes.items() for other in _respellings(each)}
            self._cell_codes = {other: respelled[other] for other in respelled.keys() - self.marks} | self._codes
        self._names = (*categories, _stand_in(categories))
        self._other = float(len(categories)) if other else UNKNOWN if imputes else None
        self._numerals = {} if cells is None else _numerals(categories, cells)
        self._has_booleans = cells is not None and not _BOOLEAN_WORDS.isdisjoint(categories)

    @property
    def _frequent(self) -> Mapping[Any, float]:
        return self._codes

    @property
    def _frequent_cells(self) -> Mapping[str, float]:
        return self._cell_codes

    def number(self, row: int, value: object) -> float:
        """The encoding of a JSON value in row ``row``. Raises `InvalidInput`."""
        if type(value) is not str:
            return self._of_number(row, value) if isinstance(value, int | float) else self._missing(row, value)
        code = self._codes.get(value)
        if code is not None:
            return code
        return self._code_of(row, value) if self.cells is None else self._read(row, value, self.cells)

    def cell(self, row: int, text: str) -> float:
        """The encoding of a cell in row ``row`` of a text table. Raises `InvalidInput`."""
        code = self._cell_codes.get(text)
        return super().cell(row, text) if code is None else code

    def value(self, number: float) -> object:
        """The string whose encoding is ``number``; None for a missing one. Any other category is ``(other)``."""
        return None if math.isnan(number) else self._names[int(number)]

    def _marks_of(self, cells: Cells) -> Sequence[str]:
        return cells.missing_texts

    def _read(self, row: int, text: str, cells: Cells) -> float:  # noqa: ARG002 - the rules do not matter here
        stripped = strip(text)
        return self._marked(row, text) if stripped in self.marks else self._code_of(row, stripped)

    def _code_of(self, row: int, text: str) -> float:
        code = self._codes.get(text, self._other)
        if code is None:
            fault = f"{type_name(text)}, a category the model does not know"
            raise self._error(row, fault, partial(self._nearest, text))
        return code

    def _of_number(self, row: int, value: float) -> float:
        """The code of the category that looks like a number or boolean. Raises `InvalidInput` if there is none."""
        if value.bit_length() > _MAX_BITS if isinstance(value, int) else not math.isfinite(value):
            return self._missing(row, value)
        spellings = spellings_of(value)
        for spelling in spellings:
            if spelling in self.marks:
                return self._marked(row, value)
            if spelling in self._codes:
                return self._codes[spelling]
        if not (self._has_booleans if isinstance(value, bool) else self._numerals):
            return self._missing(row, value)
        near = None if isinstance(value, bool) else self._numerals.get(value)
        if near is not None:
            raise self._error(
                row, f"{number_or_type(value)}, which may be the category {near!r:.60} or not; send it as a string"
            )
        return self._code_of(row, spellings[0])

    def error(self, row: int, number: float) -> InvalidInput:
        """The error for ``number``, in row ``row`` of an array, which this column does not accept."""
        expected = f"the code of a category, an integer from 0 to {self.highest:.0f}"
        return self._error(row, f"{number_or_type(number)}, expected {expected}")

    def _fault(self, value: object) -> str:
        return f"{number_or_type(value)}, expected {self.wanted} such as {next(iter(self._codes))!r:.60}"

    def _nearest(self, value: str) -> str:
        folded = {category.casefold(): category for category in itertools.islice(self._codes, _CANDIDATES)}
        near = difflib.get_close_matches(value[:_COMPARED].casefold(), folded)
        if near:
            return f"did you mean {' or '.join(repr(folded[each]) for each in near)}?"
        shown = ", ".join(f"{category!r:.60}" for category in itertools.islice(self._codes, _SHOWN))
        more = len(self._codes) - _SHOWN
        return f"it knows {shown}" + (f" and {more} more" if more > 0 else "")


class DateTime(Column):
    """A column of dates or times of day, each encoded as days since 1970-01-01, which is also what arrays contain.

    Texts are read in the format ``form`` and in ISO 8601. A format of digits alone is also accepted as an integer.
    """

    lowest, highest = float(dates.FIRST_DAY), float(math.nextafter(dates.LAST_DAY + 1, 0))
    unit = "days since 1970-01-01"

    def __init__(
        self, name: str, form: DateFormat, *, missing: bool, cells: Cells | None = None, refusal: str = _REFUSAL
    ) -> None:
        super().__init__(name, missing=missing, cells=cells, refusal=refusal)
        self.form: DateFormat = form
        self.wanted = f"a date such as {dates.EXAMPLES[form]!r}"
        if form == "time":
            self.lowest, self.highest = 0.0, math.nextafter(1, 0)
            self.unit, self.wanted = "the share of the day", f"a time such as {dates.EXAMPLES[form]!r}"
        elif form != "year-month-day":
            self.wanted += f" or {dates.EXAMPLES['year-month-day']!r}"

    def number(self, row: int, value: object) -> float:
        """The encoding of a JSON value in row ``row``. Raises `InvalidInput`."""
        if type(value) is str:
            return self.cell(row, value)
        if self.form in dates.INTEGERS and _is_integer(value) and abs(value) < _MAX_DIGITS:
            return self.cell(row, f"{value:.0f}")
        return self._missing(row, value)

    def cell(self, row: int, text: str) -> float:
        """The encoding of a cell in row ``row`` of a text table. Raises `InvalidInput`."""
        days = dates.days_of(text, self.form)
        return self._read(row, text, self.cells or _DEFAULT_CELLS) if days is None else days

    def value(self, number: float) -> object:
        """The text whose encoding is ``number``, to the microsecond; None for a missing one."""
        return None if math.isnan(number) else dates.text_of(number, self.form)

    def error(self, row: int, number: float) -> InvalidInput:
        """The error for ``number``, in row ``row`` of an array, which this column does not accept."""
        expected = f"{self.unit}, from {self.lowest:.0f} to {math.ceil(self.highest)}"
        return self._error(row, f"{number_or_type(number)}, expected {expected}")

    def _read(self, row: int, text: str, cells: Cells) -> float:  # noqa: ARG002 - the rules do not matter here
        stripped = strip(text)
        if stripped in self.marks:
            return self._marked(row, text)
        days = dates.days_of(stripped, self.form)
        if days is None:
            raise self._error(row, f"{type_name(text)}, expected {self.wanted}")
        return days

    def _fault(self, value: object) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            remedy = "send a string (in pandas: to_json(date_format='iso'))"
            return f"{number_or_type(value)}, expected {self.wanted}; {remedy}"
        return f"{type_name(value)}, expected {self.wanted}"


def _stand_in(categories: Sequence[str]) -> str:
    """A string that is none of the ``categories``."""
    found = "(other)"
    while found in categories:
        found = f"({found})"
    return found


def _is_integer(value: object) -> TypeGuard[float]:
    return type(value) is int or (type(value) is float and value.is_integer())


def _respellings(category: str) -> tuple[str, ...]:
    """How a text table may write a category that is an integer or a boolean: also as 2.0 or True."""
    if integer := _INTEGER.fullmatch(category):
        return spellings_of(int(integer[1]))
    return spellings_of(BOOLEANS[category]) if category in _BOOLEAN_WORDS else ()


def _numerals(categories: Sequence[str], cells: Cells) -> dict[float, str]:
    """The categories that look like numbers in JSON or in the table, by that number; integers keep all their digits."""
    return {
        int(category) if re.fullmatch("[-+]?[0-9]+", category) else number: category
        for category in categories
        for number in (number_of(category), cells.number(category))
        if number is not None
    }


def of(feature: Feature, cells: Cells | None = None, *, pixels: bool = False, impute: bool = False) -> Column:
    """The column of a feature whose table was parsed by the rules ``cells``, or the feature's own.

    ``pixels`` says that it belongs to an image. With ``impute`` it also accepts missing and unknown values for which
    the feature has a default.
    """
    name, cells = feature.name, feature.cells or cells
    if pixels and feature.kind == "numeric":
        return Pixel(name, missing=feature.missing)
    missing = feature.missing or (impute and feature.default is not None)
    refusal = _NO_DEFAULT if impute and not missing else _REFUSAL
    if feature.kind == "categorical":
        categories, other = feature.categories, feature.other
        imputes = impute and missing
        return Category(name, categories, missing=missing, other=other, cells=cells, refusal=refusal, imputes=imputes)
    if feature.format is not None:
        return DateTime(name, feature.format, missing=missing, cells=cells, refusal=refusal)
    if feature.kind == "boolean":
        return Boolean(name, missing=missing, cells=cells, refusal=refusal)
    if cells and cells.sentinels:
        return Marked(name, missing=missing, cells=cells, refusal=refusal)
    return Column(name, missing=missing, cells=cells, refusal=refusal)


def type_name(value: object) -> str:
    """A JSON value's type, for messages; short values are shown."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return f"the string {value!r:.60}"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def number_or_type(value: object) -> str:
    """A JSON value for messages: a number as it is, shortened, and of any other value its type."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.6g}" if isinstance(value, float) else f"{value!r:.60}"
    return type_name(value)
