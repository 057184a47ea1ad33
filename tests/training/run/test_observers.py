"""Observers are told of a run's start, its epochs and its end, however it ends."""

from __future__ import annotations

from typing import Any

import pytest

from training.engine.trainer import Epoch
from training.errors import Diverged, NotPromoted
from training.run.observers import End, Epochs, Observer, Pruned, Several, Start, observed

EPOCH = Epoch(1, 0.5, 0.6, 0.9, 0.01)


class Told(Observer):
    """Writes down what it is told."""

    def __init__(self, name: str, told: list[Any], *, stops: bool = False) -> None:
        self.name, self.told, self.stops = name, told, stops

    def on_start(self, start: Start) -> None:
        self.told.append((self.name, start))

    def on_epoch(self, epoch: Epoch) -> bool:
        self.told.append((self.name, epoch.number))
        return self.stops

    def on_end(self, end: End) -> None:
        self.told.append((self.name, end.status))

    def nested(self, name: str) -> Observer:
        return Told(f"{self.name}/{name}", self.told)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Pruned("worse"), "pruned"),
        (NotPromoted("worse", [], "use --force"), "refused"),
        (KeyboardInterrupt(), "interrupted"),
        (Diverged("nan"), "failed"),
    ],
)
def test_the_end_is_told_with_what_ended_the_run(error: BaseException, status: str) -> None:
    told: list[Any] = []
    with pytest.raises(type(error)), observed(Told("one", told)):
        raise error
    assert told == [("one", status)]


def test_a_run_that_succeeds_is_finished() -> None:
    told: list[Any] = []
    with observed(Told("one", told)) as end:
        assert end.status == "finished"
    assert told == [("one", "finished")]


def test_several_are_all_told_and_any_may_stop_training() -> None:
    told: list[Any] = []
    both = Several([Told("one", told, stops=True), Told("two", told)])
    assert both.on_epoch(EPOCH)
    both.on_end(End())
    both.nested("trial 1").on_end(End("pruned"))
    assert told == [
        *[("one", 1), ("two", 1), ("one", "finished"), ("two", "finished")],
        *[("one/trial 1", "pruned"), ("two/trial 1", "pruned")],
    ]
    assert not Several([Told("one", told), Observer()]).on_epoch(EPOCH)


def test_a_function_is_an_observer() -> None:
    epochs: list[int] = []
    observer = Epochs(lambda epoch: epochs.append(epoch.number) or epoch.number == 1)  # type: ignore[func-returns-value]
    assert observer.on_epoch(EPOCH)
    assert epochs == [1]
