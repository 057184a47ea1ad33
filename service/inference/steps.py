"""Work that takes long, written as a generator that yields wherever it can pause: every millisecond or so."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
# A bare yield pauses. Yielding `InThread` waits for other steps, and their result is the value of the yield expression.
Steps = Generator[Any, Any, T]


@dataclass(frozen=True, slots=True)
class InThread:
    """Steps that would block the event loop however short they are, such as those of a C library; run in a thread."""

    steps: Steps[Any]


def in_thread(steps: Steps[T]) -> Steps[T]:
    """``steps`` that run in a thread."""
    result: T = yield InThread(steps)
    return result


def finish(steps: Steps[T]) -> T:
    """Run all of ``steps`` now, in this thread, and return their result."""
    result = None
    while True:
        try:
            paused_for = steps.send(result)
        except StopIteration as end:
            whole: T = end.value
            return whole
        result = None if paused_for is None else finish(paused_for.steps)


def finish_on_loop(steps: Steps[T]) -> T | Steps[T]:
    """Run ``steps`` now, and return their result; the steps that are left once they wait for a thread."""
    try:
        while (paused_for := next(steps)) is None:
            pass
    except StopIteration as end:
        whole: T = end.value
        return whole
    return _from(paused_for, steps)


def _from(paused_for: InThread, steps: Steps[T]) -> Steps[T]:
    """``steps`` that are paused: first what they paused for, then the rest."""
    try:
        while True:
            paused_for = steps.send((yield paused_for))
    except StopIteration as end:
        whole: T = end.value
        return whole
