"""Remove passwords from texts that are kept, such as the command in a card."""

from __future__ import annotations

import re
from typing import Final

_USER: Final = re.compile(r"(://[^/\s:@'\"]*):[^/\s@'\"]+@")
_QUERY: Final = re.compile(
    r"([?&][^=&\s'\"]*(?:password|passwd|pwd|token|secret)[^=&\s'\"]*=)[^&\s'\"]+", re.IGNORECASE
)


def without_passwords(text: str) -> str:
    """Return ``text`` with ``***`` for passwords in URLs: ``://user:***@host``, and ``?password=***``."""
    return _QUERY.sub(r"\1***", _USER.sub(r"\1:***@", text))
