"""Keep the failures of a tracker from its run: the first is printed, and from then on the tracker is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from training.errors import first_line
from training.run.observers import End, Observer, Start
from training.run.secrets import without_passwords

if TYPE_CHECKING:  # torch takes a second to import
    from training.engine.trainer import Epoch

_Result = TypeVar("_Result")
_MAX_CHARS = 200


class Failures:
    """Whether the tracker of option ``flag`` failed, in this run or one within it."""

    def __init__(self, flag: str, console: Console) -> None:
        self._flag = flag
        self._console = console
        self.any = False

    def note(self, error: Exception) -> None:
        """Print ``error``."""
        self.any = True
        reason = without_passwords(first_line(error))
        shown = reason if len(reason) <= _MAX_CHARS else f"{reason[:_MAX_CHARS]} …"
        self._console.print(f"{self._flag} failed, and the run goes on without it: {shown}")


class Guarded(Observer):
    """Passes everything on to ``observer`` until it raises an exception, which is noted in ``failures``."""

    def __init__(self, observer: Observer, failures: Failures) -> None:
        self._observer = observer
        self._failures = failures

    def on_start(self, start: Start) -> None:
        """Pass it on."""
        self._try(lambda: self._observer.on_start(start), None)

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Pass it on."""
        return self._try(lambda: self._observer.on_epoch(epoch), None)

    def on_end(self, end: End) -> None:
        """Pass it on."""
        self._try(lambda: self._observer.on_end(end), None)

    def nested(self, name: str) -> Observer:
        """Guard the nested observer likewise."""
        return Guarded(self._try(lambda: self._observer.nested(name), Observer()), self._failures)

    def _try(self, call: Callable[[], _Result], otherwise: _Result) -> _Result:
        if self._failures.any:
            return otherwise
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - whatever a tracking server does, the run goes on
            self._failures.note(error)
            return otherwise
