"""Tables drawn with lines of dashes, as SQL clients and Markdown write them: without these lines and borders."""

from __future__ import annotations

import re
from mmap import mmap
from typing import Final

_HEAD_BYTES: Final = 2**16
_HEAD_LINES: Final = 4  # with a border, a header and a line below it
_MARKS: Final = frozenset("-+=|: \t")
_RULE: Final = re.compile(rb"(?m)^[-+=|: \t]*--[-+=|: \t]*(?:\r?\n|\r?\Z)|^[=+ ]*==[=+ ]*(?:\r?\n|\r?\Z)")
_BORDER: Final = re.compile(rb"(?m)^[ \t]*\||\|[ \t]*(?=\r?$)")
_BAR: Final = re.compile(rb"[ \t]*\|[ \t]*")
_COUNT: Final = re.compile(rb"(?i)\s*^\(?[0-9,]+ rows?(?: affected| in set[^\r\n]*)?\)?\s*\Z", re.MULTILINE)


def without_rules(text: bytes | memoryview | mmap) -> bytes | None:
    """Return a table of plain cells, without the count of its rows below it; None if it is not drawn with lines."""
    head = bytes(text[:_HEAD_BYTES]).decode(errors="ignore").splitlines()
    first = [line for line in head if line.strip()][:_HEAD_LINES]
    if not any(set(line) <= _MARKS and ("--" in line or "==" in line) for line in first[:3]) or len(first) < 3:
        return None
    plain = _COUNT.sub(b"", _RULE.sub(b"", bytes(text)))
    if all(line.strip().startswith("|") for line in first if not set(line) <= _MARKS):
        plain = _BORDER.sub(b"", plain)
    return _BAR.sub(b"|", plain)
