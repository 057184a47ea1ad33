"""How far training is, at a terminal: bars with loss, validation score and time left. Quiet elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from training.cli.interrupt import Interrupts
from training.data.kind import Track
from training.engine.trainer import Epoch


@contextmanager
def shown(console: Console, epochs: Mapping[str, int], score_name: str) -> Iterator[dict[str, Callable[[Epoch], None]]]:
    """For each name a bar of so many ``epochs``, and a function to call with each that is finished."""
    if not console.is_terminal:
        yield dict.fromkeys(epochs, lambda _epoch: None)
        return
    columns = (
        TextColumn("{task.description} {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield {
            name: _told(bar, bar.add_task(name, total=total, visible=total > 0, figures=""), score_name)
            for name, total in epochs.items()
        }


def watching(console: Console, interrupts: Interrupts) -> Track:
    """Gives things on as they come, under a bar of how many of them there are yet to come."""

    @contextmanager
    def watched(things: Iterable[Any], count: int) -> Iterator[Iterable[Any]]:
        if not console.is_terminal:
            yield things
            return
        with interrupts.orderly(), Progress(console=console, transient=True) as bar:
            yield _checked(bar.track(things, count, description="reading"), interrupts)

    return watched


def _checked(things: Iterable[Any], interrupts: Interrupts) -> Iterator[Any]:
    for thing in things:
        interrupts.check()
        yield thing


def _told(bar: Progress, task: TaskID, score_name: str) -> Callable[[Epoch], None]:
    def ended(epoch: Epoch) -> None:
        figures = (
            f"loss {epoch.train_loss:.4f} · validation loss {epoch.validation_loss:.4f} · "
            f"{score_name} {epoch.validation_score:.4f}"
        )
        bar.update(task, advance=1, figures=figures)

    return ended
