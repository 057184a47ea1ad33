"""Observers of a run: told of its start, of each epoch and of its end, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from training.errors import NotPromoted

if TYPE_CHECKING:  # torch takes a second to import
    from training.config import Config
    from training.data.dataset import Dataset
    from training.data.split import Split
    from training.engine.trainer import Epoch
    from training.release.pipeline import Release
    from training.release.training_run import TrainingRun

Status = Literal["finished", "pruned", "refused", "interrupted", "failed"]


class Pruned(Exception):
    """Training was ended because other settings do better, or time is over."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is known when training begins. ``config`` has no value left that depends on the number of rows."""

    name: str
    command: str
    dataset: Dataset
    split: Split
    config: Config
    device: str


@dataclass(slots=True)
class End:
    """How a run ended: the ``run`` if training was finished, the ``release`` if a version was published."""

    status: Status = "finished"
    run: TrainingRun | None = None
    release: Release | None = None


class Observer:
    """Observes one run. Each method does nothing unless a subclass overrides it."""

    def on_start(self, start: Start) -> None:
        """Called before the first epoch."""

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Called after each epoch; training stops if it returns True, and ends if it raises."""

    def on_end(self, end: End) -> None:
        """Called once at the end, also if there was no start."""

    def nested(self, name: str) -> Observer:  # noqa: ARG002
        """Return the observer of a run within this one, such as a trial of a search."""
        return Observer()


class Epochs(Observer):
    """Calls a function after each epoch."""

    def __init__(self, function: Callable[[Epoch], bool | None]) -> None:
        self._function = function

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Call the function; training stops if it returns True."""
        return self._function(epoch)


class Several(Observer):
    """Passes everything on to several observers, in order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def on_start(self, start: Start) -> None:
        """Tell all of them."""
        for each in self._observers:
            each.on_start(start)

    def on_epoch(self, epoch: Epoch) -> bool | None:
        """Tell all of them; training stops if any returns True."""
        answers = [each.on_epoch(epoch) for each in self._observers]
        return any(answers)

    def on_end(self, end: End) -> None:
        """Tell all of them."""
        for each in self._observers:
            each.on_end(end)

    def nested(self, name: str) -> Observer:
        """Return the nested observers of all of them."""
        return Several([each.nested(name) for each in self._observers])


@contextmanager
def observed(observer: Observer) -> Iterator[End]:
    """Tell ``observer`` of the end of the run inside, with the `End` that this yields, to be filled in."""
    end = End()
    try:
        yield end
    except BaseException as error:
        end.status = _status(error)
        observer.on_end(end)
        raise
    observer.on_end(end)


def _status(error: BaseException) -> Status:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, NotPromoted):
        return "refused"
    return "pruned" if isinstance(error, Pruned) else "failed"
