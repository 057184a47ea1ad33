"""Progress bars are written to a terminal only."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from training.engine.trainer import Epoch
from training.run import progress
from training.run.interrupt import Interrupts

EPOCHS = [Epoch(1, 2.5, 0.75, 0.5, 0.1), Epoch(2, 1.5, 0.25, 0.75, 0.1), Epoch(3, 1.25, 0.5, 0.875, 0.1)]
CLEAR_LINE, SHOW_CURSOR = "\x1b[2K", "\x1b[?25h"


def written(*, terminal: bool, width: int = 140, may_stop_early: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None)
    epochs = {"teacher epoch": 0, "epoch": 4}
    with progress.bars(console, epochs, "accuracy", may_stop_early=may_stop_early) as on_epoch:
        for epoch in EPOCHS:
            on_epoch["epoch"](epoch)
    return file.getvalue()


def test_nothing_is_written_without_a_terminal() -> None:
    assert written(terminal=False) == ""


def test_a_bar_shows_the_epoch_and_its_metrics() -> None:
    text = written(terminal=True)
    assert "epoch 3/4" in text
    assert "training loss 1.2500 · validation loss 0.5000 (best 0.2500 in epoch 2) · accuracy 0.8750" in text


def test_a_bar_fits_in_80_columns() -> None:
    text = written(terminal=True, width=80, may_stop_early=True)
    lines = [line for line in re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", text).splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    assert re.search(r"epoch 3/4 \S+ +accuracy 0\.875 · validation loss 0\.5000 ≤ \d\d:\d\d left", lines[-1])


def test_without_epochs_there_is_no_bar() -> None:
    assert "teacher" not in written(terminal=True)


def test_the_bar_is_removed_at_the_end() -> None:
    assert written(terminal=True).rstrip().endswith(CLEAR_LINE)


@contextmanager
def installed(interrupts: Interrupts) -> Iterator[None]:
    """Install the handlers of ``interrupts`` inside the context."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interrupts.install()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def read(act: Callable[[int], None], *, terminal: bool) -> str:
    """The output while three items are read, with ``act`` called for each."""
    file = io.StringIO()
    interrupts = Interrupts()
    watch = progress.watching(Console(file=file, force_terminal=terminal, width=80), interrupts)
    try:
        with installed(interrupts), watch(iter(range(3)), 3) as items:
            for item in items:
                act(item)
    except (ValueError, KeyboardInterrupt) as error:
        file.write(type(error).__name__)
    return file.getvalue()


def fail(item: int) -> None:
    if item == 1:
        raise ValueError


def interrupt(item: int) -> None:
    assert item < 2
    if item == 1:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(("act", "error"), [(fail, "ValueError"), (interrupt, "KeyboardInterrupt")])
def test_the_reading_bar_is_removed_before_an_error_is_printed(act: Callable[[int], None], error: str) -> None:
    text = read(act, terminal=True)
    assert text.index("reading") < text.rindex(SHOW_CURSOR) < text.rindex(CLEAR_LINE)
    assert text.endswith(error)


def test_reading_writes_nothing_without_a_terminal() -> None:
    assert read(lambda _item: None, terminal=False) == ""
