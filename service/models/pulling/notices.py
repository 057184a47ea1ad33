"""Says each thing once for as long as it stays true, however often a source is looked at."""

from __future__ import annotations

from collections.abc import Callable

from service.models import table


class Notices:
    """Passes texts on to ``write``, unless the look before said them, too."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._before: set[str] = set()
        self._now: set[str] = set()

    def say(self, text: str) -> None:
        """Say it if it is new, in one line that breaks no terminal: a source may have any names."""
        text = table.printable(text)
        if text not in self._before | self._now:
            self._write(text)
        self._now.add(text)

    def end_look(self) -> None:
        """Forget what was not said in this look."""
        self._before, self._now = self._now, set()
