"""Hand-written sources: a folder that fails now and then, or says something wrong of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.models.pulling.local_source import LocalSource
from service.models.pulling.retries import PAUSES_S, Retries
from service.models.pulling.source import Entry

AT_ONCE = Retries(lambda _: None)
# So many errors in a row and it is not tried again.
TRIES = len(PAUSES_S) + 1


class Unsteady(LocalSource):
    """A folder of models; ``faults`` are raised one after another, the first by the next call."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.faults: list[BaseException] = []
        self.listed: Callable[[list[Entry]], list[Entry]] = lambda entries: entries
        self.opened: list[str] = []

    def entries(self, *parts: str) -> list[Entry]:
        self._fail()
        return self.listed(super().entries(*parts))

    @contextmanager
    def open(self, *parts: str) -> Iterator[IO[bytes]]:
        self._fail()
        self.opened.append("/".join(parts))
        with super().open(*parts) as file:
            yield file

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)
