"""Progress bars at a terminal, with loss, validation score and time left; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.data.kind import Track
from training.run.interrupt import Interrupts

_WIDE: Final = 130  # columns
_BAR_WIDTH: Final = 10
_NARROW_BAR_WIDTH: Final = 8

if TYPE_CHECKING:  # torch takes a second to import
    from training.engine.trainer import Epoch


def console(*, quiet: bool = False) -> Console:
    """A console on stderr that prints text as it is, or, if ``quiet``, nothing. At a terminal, it wraps at words."""
    terminal = False if quiet else None
    found = Console(stderr=True, highlight=False, markup=False, emoji=False, quiet=quiet, force_terminal=terminal)
    found.soft_wrap = not found.is_terminal
    return found


@contextmanager
def bars(
    console: Console, epochs: Mapping[str, int], score_name: str, *, may_stop_early: bool = False
) -> Iterator[dict[str, Callable[[Epoch], None]]]:
    """Show a bar for each name in ``epochs`` with its number of epochs; yield a function for each to call after an
    epoch. A bar of 0 epochs is not shown. With ``may_stop_early`` the time left is the most that it may be."""
    if not console.is_terminal:
        yield dict.fromkeys(epochs, lambda _epoch: None)
        return
    columns = (
        TextColumn("{task.description} {task.completed}/{task.total}"),
        BarColumn(_BAR_WIDTH if console.width >= _WIDE else _NARROW_BAR_WIDTH),
        TextColumn("{task.fields[metrics]}"),
        TextColumn("≤" if may_stop_early else ""),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield {
            name: _Shown(bar, bar.add_task(name, total=total, visible=total > 0, metrics=""), score_name, console.width)
            for name, total in epochs.items()
        }


def watching(console: Console, interrupts: Interrupts) -> Track:
    """Return a context manager that passes on items as they are read, with a bar of their ``count``."""

    @contextmanager
    def watched(items: Iterable[Any], count: int) -> Iterator[Iterable[Any]]:
        if not console.is_terminal:
            yield items
            return
        with interrupts.orderly(), Progress(console=console, transient=True) as bar:
            yield _checked(bar.track(items, count, description="reading"), interrupts)

    return watched


def _checked(items: Iterable[Any], interrupts: Interrupts) -> Iterator[Any]:
    for item in items:
        interrupts.check()
        yield item


class _Shown:
    """Shows each epoch in the bar of ``task``, and which one was the best: short in a terminal that is not wide."""

    def __init__(self, bar: Progress, task: TaskID, score_name: str, width: int) -> None:
        self._bar, self._task, self._score_name, self._wide = bar, task, score_name, width >= _WIDE
        self._best: Epoch | None = None

    def __call__(self, epoch: Epoch) -> None:
        if self._best is None or epoch.validation_loss < self._best.validation_loss:
            self._best = epoch
        self._bar.update(self._task, advance=1, metrics=self._wide_text(epoch) if self._wide else self._text(epoch))

    def _text(self, epoch: Epoch) -> str:
        return f"{self._score_name} {epoch.validation_score:.3f} · validation loss {epoch.validation_loss:.4f}"

    def _wide_text(self, epoch: Epoch) -> str:
        best = "" if self._best is None else f" (best {self._best.validation_loss:.4f} in epoch {self._best.number})"
        return (
            f"training loss {epoch.train_loss:.4f} · validation loss {epoch.validation_loss:.4f}{best} · "
            f"{self._score_name} {epoch.validation_score:.4f}"
        )
