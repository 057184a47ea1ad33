"""A tracker that fails costs no run: it is printed once, and the tracker left alone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from training.engine.trainer import Epoch
from training.errors import OptionError
from training.run.observers import End, Observer
from training.run.tracking import trackers
from training.run.tracking.guarded import Failures, Guarded

EPOCH = Epoch(1, 0.5, 0.6, 0.9, 0.01)


class Broken(Observer):
    def __init__(self) -> None:
        self.calls = 0

    def on_epoch(self, epoch: Epoch) -> None:
        self.calls += epoch.number
        raise ConnectionError("no route to http://me:secret@host\nand more")

    def nested(self, name: str) -> Observer:
        assert name
        return self


def test_the_first_failure_is_printed_and_the_last() -> None:
    log, broken = io.StringIO(), Broken()
    guarded = Guarded(broken, Failures("--mlflow", Console(file=log, width=200)))
    nested = guarded.nested("trial 0")
    for each in (nested, nested, guarded, guarded.nested("trial 1")):
        assert each.on_epoch(EPOCH) is None
    guarded.on_end(End())
    assert log.getvalue() == "--mlflow failed, and the run goes on without it: no route to http://me:***@host\n"
    assert broken.calls == 1


def test_an_interrupt_is_no_failure() -> None:
    class Interrupted(Observer):
        def on_end(self, end: End) -> None:
            assert end
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guarded(Interrupted(), Failures("--mlflow", Console(file=io.StringIO()))).on_end(End())


def test_a_missing_package_is_an_error_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    trackers.check(None, None)
    with pytest.raises(OptionError) as error:
        trackers.check("http://host", None)
    assert str(error.value) == "--mlflow needs mlflow; install it with: pip install 'mlp-serving[mlflow]'"
    with pytest.raises(OptionError, match=r"^--tensorboard needs tensorboard; "):
        trackers.check(None, Path("runs"))
