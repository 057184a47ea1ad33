"""Markdown for the card: text that comes from data, code, tables.

Names and labels are whatever a table has. In the card they must look as they are, here and where Markdown is extended
by HTML, formulas or automatic links: https://github.github.com/gfm/
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

# Every punctuation character may be escaped by a backslash; these begin something in the middle of a line.
_SPECIAL: Final = re.compile(
    r"[\\`*\[\]<$~]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # not within a word
    r"|&(?=#?\w+;)"
    r"|:(?=//)|(?<=www)\.|@"  # automatic links
)
_LINE_START: Final = re.compile(r"^(?:[#>]|[+\-=](?=[\s+\-=]|$)|(?P<number>\d{1,9})(?=[.)](?:\s|$)))")
_BROKEN: Final = frozenset({"Cc", "Cs"})


def text(value: object) -> str:
    """``value`` as it is, on one line."""
    line = " ".join(_printable(str(value)).split())
    escaped = _SPECIAL.sub(r"\\\g<0>", line)
    return _LINE_START.sub(lambda found: f"{found['number']}\\" if found["number"] else f"\\{found[0]}", escaped)


def code(value: object) -> str:
    """``value`` as code, on one line."""
    line = " ".join(_printable(str(value)).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], cells: str = "--:") -> str:
    """A table of Markdown; ``cells`` aligns the columns from the second on."""
    rule = ["---", *[cells] * (len(head) - 1)]
    lines = ([cell.replace("|", "\\|") for cell in line] for line in (head, *rows))
    first, *others = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, f"| {' | '.join(rule)} |", *others])


def _printable(value: str) -> str:
    """``value`` with control characters but white space, and with surrogates, replaced."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in _BROKEN and not each.isspace() else each
        for each in value
    )
