"""A bar at a terminal, nothing elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from training.cli import progress
from training.cli.interrupt import Interrupts
from training.engine.trainer import Epoch

EPOCHS = [Epoch(number, 1.25, 0.5, 0.875, 0.1) for number in (1, 2, 3)]


def written(*, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, color_system=None)
    with progress.shown(console, {"teacher's epoch": 0, "epoch": 4}, "accuracy") as ended:
        for epoch in EPOCHS:
            ended["epoch"](epoch)
    return file.getvalue()


def test_elsewhere_than_at_a_terminal_nothing_is_written() -> None:
    assert written(terminal=False) == ""


def test_at_a_terminal_it_tells_how_far_it_is_and_how_well_it_goes() -> None:
    text = written(terminal=True)
    assert "epoch 3/4" in text
    assert "loss 1.2500 · validation loss 0.5000 · accuracy 0.8750" in text


def test_what_has_no_epochs_has_no_bar() -> None:
    assert "teacher" not in written(terminal=True)


def test_the_bar_is_gone_when_it_is_done() -> None:
    clear_line = "\x1b[2K"
    assert written(terminal=True).rstrip().endswith(clear_line)


def read(act: Callable[[Interrupts, int], None], *, terminal: bool) -> str:
    """What is written while three things are read, with each of which ``act`` is called."""
    file = io.StringIO()
    interrupts = Interrupts()
    watch = progress.watching(Console(file=file, force_terminal=terminal, width=80), interrupts)
    try:
        with watch(iter(range(3)), 3) as things:
            for thing in things:
                act(interrupts, thing)
    except (ValueError, KeyboardInterrupt) as error:
        file.write(type(error).__name__)
    return file.getvalue()


def refuse(_interrupts: Interrupts, thing: int) -> None:
    if thing == 1:
        raise ValueError


def interrupt(interrupts: Interrupts, thing: int) -> None:
    assert thing < 2
    if thing == 1:
        interrupts._received(2, None)


@pytest.mark.parametrize(("act", "error"), [(refuse, "ValueError"), (interrupt, "KeyboardInterrupt")])
def test_the_bar_of_what_is_read_is_gone_before_anything_else_is_said(
    act: Callable[[Interrupts, int], None], error: str
) -> None:
    clear_line, show_cursor = "\x1b[2K", "\x1b[?25h"
    written = read(act, terminal=True)
    assert written.index("reading") < written.rindex(show_cursor) < written.rindex(clear_line)
    assert written.endswith(error)


def test_elsewhere_things_are_read_without_a_word() -> None:
    assert read(lambda *_: None, terminal=False) == ""
