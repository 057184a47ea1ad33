"""A whole search: what is printed, and a storage that fails in the middle."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.training.run.search.planned import plan
from training.errors import TrainingError
from training.run.interrupt import Interrupts
from training.run.observers import Observer
from training.run.search import search
from training.run.search.search import Search


def searched(place: Path, trials: int = 3) -> Search:
    wanted = plan("lr", "dropout", epochs=5)
    return Search(wanted, "small", "the tests", str(place), "s", trials=trials, timeout_s=None, waits=True)


def test_it_prints_each_trial_and_the_best(tmp_path: Path) -> None:
    log = io.StringIO()
    console = Console(file=log, width=300)
    found = search.run(searched(tmp_path / "s.journal"), console, Interrupts(), Observer())
    begun, *trials, best = log.getvalue().splitlines()
    assert begun == f"study 's' in {tmp_path}/s.journal begins; it searches lr, dropout"
    assert [line.split(":")[0] for line in trials] == ["trial 0", "trial 1", "trial 2"]
    assert trials[0].startswith(
        f"trial 0: validation loss {found.trials[0].validation_loss:.4f} (best so far), 5 epochs in "
    )
    assert trials[0].endswith(" s: lr 0.01, dropout 0")
    assert best.startswith(f"best of 3 trials, 0 of them ended early: trial {found.best.number}, validation loss ")
    assert found.best.validation_loss == min(trial.validation_loss or 9 for trial in found.trials)


def test_at_a_terminal_a_bar_shows_the_trial_the_best_and_the_time_left(tmp_path: Path) -> None:
    log = io.StringIO()
    console = Console(file=log, width=200, force_terminal=True, color_system=None)
    search.run(searched(tmp_path / "s.journal"), console, Interrupts(), Observer())
    shown = log.getvalue()
    assert "trial 3/3" in shown
    assert "· best " in shown
    assert " left" in shown


def test_a_storage_that_fails_is_one_sentence(tmp_path: Path) -> None:
    place = tmp_path / "s.db"

    class Removes(Observer):
        def nested(self, name: str) -> Observer:
            if name == "trial 1":
                place.unlink()
            return Observer()

    with pytest.raises(TrainingError) as error:
        search.run(searched(place), Console(file=io.StringIO()), Interrupts(), Removes())
    assert str(error.value).startswith(f"{place} failed: ")
    assert str(error.value).endswith("; when it works again, the same command goes on")
    assert "\n" not in str(error.value)
