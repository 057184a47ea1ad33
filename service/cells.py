"""How one cell of a table is read, in training and in serving alike: missing, a number, a boolean or a text.

Training reads whole columns with Arrow, by the patterns and lists here; serving reads cell by cell, by `Cells`. It
needs the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

# What Unicode calls white space: blanks around a cell are none of it.
BLANKS: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Texts that mean a missing value where numbers or booleans stand; among texts NA may be Namibia.
MARKS: Final = (
    *("NA", "N/A", "n/a", "na", "NaN", "nan", "-NaN", "-nan", "<NA>", "NULL", "Null", "null", "None", "none", "?", "-"),
    *("--", ".", "#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
BOOLEANS: Final[Mapping[str, bool]] = MappingProxyType(
    dict.fromkeys(("true", "True", "TRUE", "1"), True) | dict.fromkeys(("false", "False", "FALSE", "0"), False)
)
DECIMALS: Final = (".", ",")
THOUSANDS: Final = (".", ",", "'", " ")
NUMBER_MAX_LETTERS: Final = 400  # float64's longest integer has 309 digits

_SPACES: Final = " \xa0\u2009\u202f"
_EXACT: Final = 2**53


def strip(text: str) -> str:
    """``text`` without the blanks around it."""
    return text.strip(BLANKS)


@lru_cache
def number_pattern(decimal: str = ".", thousands: str = "") -> str:
    """The regular expression, for Python and for RE2, that a stripped text has to match as a whole to be a number."""
    whole = "[0-9]+"
    if thousands:
        parted = f"[{_SPACES}]" if thousands == " " else re.escape(thousands)
        whole = f"(?:[1-9][0-9]{{0,2}}(?:{parted}[0-9]{{3}})+|[0-9]+)"
    point = re.escape(decimal)
    infinite = "[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    return f"[-+]?(?:(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?|{infinite})"


def number_of(text: str, decimal: str = ".", thousands: str = "") -> float | None:
    """The number that a stripped ``text`` is, infinity where it is larger than float64 holds; None where it is none."""
    if len(text) > NUMBER_MAX_LETTERS or not re.fullmatch(number_pattern(decimal, thousands), text):
        return None
    for mark in _SPACES if thousands == " " else thousands:
        text = text.replace(mark, "")
    return float(text.replace(decimal, "."))


def texts_of(value: float) -> tuple[str, ...]:
    """How a category may be written that comes as a number or a boolean, the likeliest first.

    A number is written as the shortest text that reads as the same number, and a whole one with or without ".0".
    """
    if isinstance(value, bool):
        return ("true", "True", "TRUE") if value else ("false", "False", "FALSE")
    if type(value) is float:
        whole = abs(value) <= _EXACT and value.is_integer()
        return (repr(value), str(int(value))) if whole else (repr(value),)
    return (str(value), f"{value}.0")


@dataclass(frozen=True)
class Cells:
    """The rules by which the cells of a table were read, besides those that always hold.

    Blanks around a text are none of it, and an empty text is missing. So are the texts of ``missing_numbers`` where a
    column has numbers or booleans, and those of ``missing_texts`` where it has texts. A number has the ``decimal`` mark
    before its fraction, and may have the ``thousands`` mark between groups of three digits.
    """

    missing_numbers: tuple[str, ...] = MARKS
    missing_texts: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""

    def number(self, text: str) -> float | None:
        """The number that a stripped ``text`` is; None where it is none."""
        return number_of(text, self.decimal, self.thousands)

    @cached_property
    def sentinels(self) -> frozenset[float]:
        """Numbers that stand for a missing value, such as -999, however they are written."""
        return frozenset(number for text in self.missing_numbers if (number := self.number(text)) is not None)

    @property
    def is_sound(self) -> bool:
        """Whether these are rules that a table can be read by."""
        texts: tuple[object, ...] = (*self.missing_numbers, *self.missing_texts)
        marks = self.decimal in DECIMALS and self.thousands in ("", *THOUSANDS) and self.decimal != self.thousands
        return marks and all(isinstance(text, str) and text == strip(text) for text in texts)
