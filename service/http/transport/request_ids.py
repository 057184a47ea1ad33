"""Request ids: the client's own, or a new one."""

from __future__ import annotations

import itertools
import re
import secrets
from typing import Final

_ID: Final = re.compile(rb"[!-~]{1,128}")


class RequestIds:
    """Makes ids that are unique to this process: a random prefix and a number."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def of(self, sent: bytes | None) -> str:
        """Return the id that the client sent if it is 1 to 128 visible ASCII characters, else a new one."""
        if sent is not None and _ID.fullmatch(sent):
            return sent.decode("ascii")
        return f"{self._prefix}-{next(self._numbers)}"
