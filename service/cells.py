"""How one cell of a table is read, in training and in serving: as missing, a number, a boolean or a string.

Training reads whole columns with Arrow, using the patterns and lists here. The service reads single cells, with
`Cells`. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

# Unicode white space, which is stripped from every cell.
BLANKS: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# As Excel and LibreOffice write them.
SPREADSHEET_ERRORS: Final = ("#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")
# Missing values in columns of numbers or booleans. In a column of strings, NA may be Namibia.
MARKS: Final = (
    *("NA", "N/A", "n/a", "na", "NaN", "nan", "-NaN", "-nan", "<NA>", "NULL", "Null", "null", "None", "none", "?", "-"),
    *("--", ".", "#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "NONE", "nil", "Nil", "NIL"),
    *("unknown", "Unknown", "UNKNOWN", "missing", "Missing", "MISSING", "n.a.", "N.A.", "n.a", "N.A", "<null>"),
    *("not available", "Not available", "Not Available", "..", "...", "*"),
    *SPREADSHEET_ERRORS,
)
BOOLEANS: Final[Mapping[str, bool]] = MappingProxyType(
    dict.fromkeys(("true", "True", "TRUE", "1"), True) | dict.fromkeys(("false", "False", "FALSE", "0"), False)
)
DECIMALS: Final = (".", ",")
THOUSANDS: Final = (".", ",", "'", " ")
NUMBER_MAX_LETTERS: Final = 400  # float64's longest integer has 309 digits
# What may stand around a number that is written with symbols: $1,200 -€3 12.5 % (40) USD 7 R$ 5. For Python and RE2.
SYMBOLS: Final = (
    "(?:[A-Z]{0,2}[$]|[€£¥₹₩₽₺₪₫₱₦₴฿]|kr[.]?|zł|Kč|Ft|USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|INR|CNY|BRL|MXN|ZAR|SEK|NOK|DKK|"
    "PLN|CZK|HUF|TRY)"
)
MINUS: Final = "\u2212"  # typographic
# Between groups of digits.
SPACES: Final = " \xa0\u2009\u202f"
APOSTROPHES: Final = "'\u2019"

_EXACT: Final = 2**53
_SEPARATORS: Final[Mapping[str, str]] = MappingProxyType({" ": SPACES, "'": APOSTROPHES})


def strip(text: str) -> str:
    """``text`` without leading and trailing blanks."""
    return text.strip(BLANKS)


def name_of(text: str) -> str:
    """The name of a column whose header is ``text``: without blanks around it, and in one line with plain blanks."""
    stripped = strip(text)
    return stripped if stripped.isprintable() else " ".join(stripped.split())


def separators(thousands: str) -> str:
    """The characters that are a ``thousands`` separator."""
    return _SEPARATORS.get(thousands, thousands)


@lru_cache
def number_pattern(decimal: str = ".", thousands: str = "", *, symbols: bool = False) -> str:
    """The regular expression, for Python and RE2, that matches a stripped string in full if it is a number.

    With ``symbols``, a currency or a percent sign may stand beside the number, and parentheses around a negative one.
    """
    integer = "[0-9]+"
    if thousands:
        separator = f"[{separators(thousands)}]"
        indian = f"[1-9][0-9]?(?:{separator}[0-9]{{2}})+{separator}[0-9]{{3}}|" if thousands == "," else ""
        integer = f"(?:[1-9][0-9]{{0,2}}(?:{separator}[0-9]{{3}})+|{indian}[0-9]+)"
    point = re.escape(decimal)
    infinite = "[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    number = f"(?:{integer}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?"
    if not symbols:
        return f"[-+]?(?:{number}|{infinite})"
    space = f"[{SPACES}]?"
    before, after = f"(?:{SYMBOLS}{space})?", f"(?:{space}(?:%|{SYMBOLS}))?"
    sign = f"[-+{MINUS}]?"
    return f"(?:{sign}{before}|{before}{sign}){number}{after}|[(]{before}{number}{after}[)]"


def plain_number(text: str) -> str:
    """``text``, a number with symbols, without them: ``$1,200`` is ``1,200`` and ``(40%)`` is ``-40``."""
    sign = "-" if text.startswith("(") else ""
    return sign + re.sub(f"[()%]|{SYMBOLS}", "", text).replace(MINUS, "-").strip(SPACES)


def number_of(text: str, decimal: str = ".", thousands: str = "", *, symbols: bool = False) -> float | None:
    """The number in a stripped ``text``, infinity if it exceeds float64; None if it is not a number."""
    if len(text) > NUMBER_MAX_LETTERS or not re.fullmatch(number_pattern(decimal, thousands, symbols=symbols), text):
        return None
    if symbols:
        text = plain_number(text)
    for mark in separators(thousands):
        text = text.replace(mark, "")
    return float(text.replace(decimal, "."))


def spellings_of(value: float) -> tuple[str, ...]:
    """How a category sent as a number or a boolean may be spelled in the table, most likely first.

    A number is the shortest string that reads back as the same number; an integer is with or without ".0".
    """
    if isinstance(value, bool):
        return ("true", "True", "TRUE") if value else ("false", "False", "FALSE")
    if type(value) is float:
        is_exact_integer = abs(value) <= _EXACT and value.is_integer()
        return (repr(value), str(int(value))) if is_exact_integer else (repr(value),)
    return (str(value), f"{value}.0")


@dataclass(frozen=True)
class Cells:
    """How the cells of a table were read. Blanks around a cell are always stripped, and an empty cell is missing."""

    missing_numbers: tuple[str, ...] = MARKS
    """What else is missing in a column of numbers or booleans."""
    missing_texts: tuple[str, ...] = ()
    """What else is missing in a column of strings."""
    decimal: str = "."
    """The mark before a fraction."""
    thousands: str = ""
    """The mark between groups of three digits; empty for none."""
    symbols: bool = False
    """Whether a currency or a percent sign may stand beside a number, and parentheses around a negative one. The sign
    is ignored: ``96%`` is 96."""

    def number(self, text: str) -> float | None:
        """The number in a stripped ``text``; None if it is not a number."""
        return number_of(text, self.decimal, self.thousands, symbols=self.symbols)

    @cached_property
    def sentinels(self) -> frozenset[float]:
        """The numbers that mean a missing value, such as -999, however they are written."""
        return frozenset(number for text in self.missing_numbers if (number := self.number(text)) is not None)

    @property
    def is_sound(self) -> bool:
        """Whether a table can be read by these rules: known, different marks, and stripped strings."""
        marks = self.decimal in DECIMALS and self.thousands in ("", *THOUSANDS) and self.decimal != self.thousands
        return marks and all(text == strip(text) for text in (*self.missing_numbers, *self.missing_texts))
