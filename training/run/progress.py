"""Progress bars at a terminal, with loss, validation score and time left; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.data.kind import Track
from training.run.interrupt import Interrupts

if TYPE_CHECKING:  # torch takes a second to import
    from training.engine.trainer import Epoch


def console(*, quiet: bool = False) -> Console:
    """A console on stderr that prints text as it is, or, if ``quiet``, nothing."""
    terminal = False if quiet else None
    return Console(
        stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True, quiet=quiet, force_terminal=terminal
    )


@contextmanager
def bars(console: Console, epochs: Mapping[str, int], score_name: str) -> Iterator[dict[str, Callable[[Epoch], None]]]:
    """Show a bar for each name in ``epochs`` with its number of epochs; yield a function for each to call after an
    epoch. A bar of 0 epochs is not shown."""
    if not console.is_terminal:
        yield dict.fromkeys(epochs, lambda _epoch: None)
        return
    columns = (
        TextColumn("{task.description} {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.fields[metrics]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield {
            name: _on_epoch(bar, bar.add_task(name, total=total, visible=total > 0, metrics=""), score_name)
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


def _on_epoch(bar: Progress, task: TaskID, score_name: str) -> Callable[[Epoch], None]:
    def on_epoch(epoch: Epoch) -> None:
        metrics = (
            f"loss {epoch.train_loss:.4f} · validation loss {epoch.validation_loss:.4f} · "
            f"{score_name} {epoch.validation_score:.4f} · {epoch.duration_s:.3g} s"
        )
        bar.update(task, advance=1, metrics=metrics)

    return on_epoch
