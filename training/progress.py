"""How far training is, at a terminal: a bar with loss, validation score and time left. Quiet elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from training.fit import Epoch


@contextmanager
def shown(console: Console, epochs: int, score_name: str) -> Iterator[Callable[[Epoch], None]]:
    """A function to call with each finished epoch."""
    if not console.is_terminal:
        yield lambda _epoch: None
        return
    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=epochs, figures="")

        def ended(epoch: Epoch) -> None:
            figures = (
                f"loss {epoch.train_loss:.4f} · validation loss {epoch.validation_loss:.4f} · "
                f"{score_name} {epoch.validation_score:.4f}"
            )
            bar.update(task, advance=1, figures=figures)

        yield ended
