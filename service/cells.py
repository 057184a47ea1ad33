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
    "(?:[A-Z]{0,2}[$]|[€£¥₹₩₽₺₪₫₱₦₴฿]|kr[.]?|zł|Kč|Ft|Rs[.]?|USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|INR|CNY|BRL|MXN|ZAR|SEK|"
    "NOK|DKK|PLN|CZK|HUF|TRY|AED|SAR|HKD|SGD|KRW|THB|MYR|RUB|ILS)"
)
MINUS: Final = "\u2212\u2013"  # typographic: the minus sign, and the en dash
# Instead of a fraction: 5,- € is 5.
NO_CENTS: Final = "-\u2013\u2014"
# What may follow a number to multiply it, and by which power of ten: 1.2k is 1200.
MULTIPLES: Final[Mapping[str, int]] = MappingProxyType(
    {"k": 3, "K": 3, "M": 6, "B": 9, "bn": 9, "thousand": 3, "million": 6, "billion": 9, "lakh": 5, "crore": 7}
    | {"Thousand": 3, "Million": 6, "Billion": 9, "Lakh": 5, "Crore": 7, "Mio": 6, "Mrd": 9}
)
# Between groups of digits.
SPACES: Final = " \xa0\u2009\u202f"
APOSTROPHES: Final = "'\u2019"
# What makes a number negative, before or after its digits.
NEGATIVE: Final = f"[-({MINUS}]"

_EXACT: Final = 2**53
_NEGATIVE: Final = re.compile(NEGATIVE)
_EXPONENT: Final = "(?:[eE][-+]?[0-9]+)?"
_UNIT: Final = re.compile(f"[^0-9\\s()+.,'{MINUS}-][^\\t\\n\\r()+{MINUS}-]*")
_SIGN: Final = f"[-+{MINUS}]?"
_SPACE: Final = f"[{SPACES}]?"
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
def _unsigned_pattern(decimal: str, thousands: str, *, symbols: bool = False) -> str:
    """The regular expression that matches digits with ``decimal`` and ``thousands`` marks."""
    integer = "[0-9]+"
    if thousands:
        separator = f"[{separators(thousands)}]"
        indian = f"[1-9][0-9]?(?:{separator}[0-9]{{2}})+{separator}[0-9]{{3}}|" if thousands == "," else ""
        integer = f"(?:[1-9][0-9]{{0,2}}(?:{separator}[0-9]{{3}})+|{indian}[0-9]+)"
    point = re.escape(decimal)
    cents = f"[{NO_CENTS}]{{1,2}}|" if symbols else ""
    return f"(?:{integer}(?:{point}(?:{cents}[0-9]*))?|{point}[0-9]+)"


@lru_cache
def number_pattern(decimal: str = ".", thousands: str = "") -> str:
    """The regular expression, for Python and RE2, that matches a stripped string in full if it is a plain number."""
    infinite = "[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    return f"[-+]?(?:{_unsigned_pattern(decimal, thousands)}{_EXPONENT}|{infinite})"


def number_of(text: str, decimal: str = ".", thousands: str = "") -> float | None:
    """The number in a stripped ``text``, infinity if it exceeds float64; None if it is not a plain number."""
    if len(text) > NUMBER_MAX_LETTERS or not re.fullmatch(number_pattern(decimal, thousands), text):
        return None
    return float(_with_point(text, decimal, thousands))


def _with_point(digits: str, decimal: str, thousands: str) -> str:
    for mark in separators(thousands):
        digits = digits.replace(mark, "")
    return digits.replace(decimal, ".")


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
    """Whether a currency or a percent sign may stand beside a number, parentheses around a negative one, a minus after
    it, and dashes instead of a fraction. The sign is ignored: ``96%`` is 96."""
    units: tuple[str, ...] = ()
    """With ``symbols``, how the unit beside the numbers may be spelled, such as kg; no other and no other currency may
    stand there. Empty for any currency or a percent sign."""
    multiples: bool = False
    """With ``symbols``, whether k, M and the like may follow a number and multiply it: ``1.2k`` is 1200."""

    def number(self, text: str) -> float | None:
        """The number in a stripped ``text``; None if it is not a number."""
        if not self.symbols:
            return number_of(text, self.decimal, self.thousands)
        whole, parts = self._compiled
        if len(text) > NUMBER_MAX_LETTERS or not whole.fullmatch(text):
            return None
        match = parts.match(text)
        assert match is not None  # noqa: S101 - it matches whatever `pattern` does
        head, digits, exponent, tail = match.group("head", "digits", "exponent", "tail")
        if self.multiples and match["multiple"]:
            exponent = f"e{MULTIPLES[match['multiple']]}"
        value = float(_with_point(digits.rstrip(NO_CENTS), self.decimal, self.thousands) + (exponent or ""))
        return -value if _NEGATIVE.search(head + tail) else value

    @cached_property
    def pattern(self) -> str:
        """The regular expression, for Python and RE2, that matches a stripped string in full if it is a number."""
        if not self.symbols:
            return number_pattern(self.decimal, self.thousands)
        before, after, minus = self._beside
        digits = _unsigned_pattern(self.decimal, self.thousands, symbols=True)
        multiple = f"|{_SPACE}(?:{'|'.join(MULTIPLES)})" if self.multiples else ""
        number = f"{digits}(?:{_EXPONENT}{multiple})"
        return (
            f"(?:{_SIGN}{before}|{before}{_SIGN}){number}{after}|[(]{before}{number}{after}[)]|"
            f"{before}{number}(?:{minus}{after}|{after}{minus})"
        )

    @cached_property
    def parts(self) -> str:
        """The regular expression, for Python and RE2, that splits what `pattern` matches if there are ``symbols``.

        Its groups are the ``head`` before the ``digits``, their ``exponent``, a ``multiple`` if there may be
        ``multiples``, and the ``tail``.
        """
        before, after, minus = self._beside
        digits = _unsigned_pattern(self.decimal, self.thousands, symbols=True)
        multiple = f"|{_SPACE}(?P<multiple>{'|'.join(MULTIPLES)})" if self.multiples else ""
        return (
            f"^(?P<head>[(]?{_SIGN}{before}{_SIGN})(?P<digits>{digits})(?:(?P<exponent>{_EXPONENT}){multiple})"
            f"(?P<tail>(?:{minus}{after}|{after}{minus}|{after})[)]?)$"
        )

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return re.compile(self.pattern), re.compile(self.parts)

    @property
    def _beside(self) -> tuple[str, str, str]:
        """What may stand before and after the digits, as regular expressions, and the minus after them."""
        spelled = "|".join(f"[{SPACES}]".join(map(re.escape, unit.split(" "))) for unit in self.units)
        unit = spelled or f"%|{SYMBOLS}"
        return f"(?:(?:{unit}){_SPACE})?", f"(?:{_SPACE}(?:{unit}))?", f"{_SPACE}[-{MINUS}]"

    @cached_property
    def sentinels(self) -> frozenset[float]:
        """The numbers that mean a missing value, such as -999, however they are written."""
        return frozenset(number for text in self.missing_numbers if (number := self.number(text)) is not None)

    @property
    def is_sound(self) -> bool:
        """Whether a table can be read by these rules: known, different marks, and stripped strings."""
        marks = self.decimal in DECIMALS and self.thousands in ("", *THOUSANDS) and self.decimal != self.thousands
        texts = (*self.missing_numbers, *self.missing_texts, *self.units)
        return marks and all(map(_UNIT.fullmatch, self.units)) and all(text == strip(text) for text in texts)
