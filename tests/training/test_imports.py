"""What takes long to import is imported when it is needed: help and errors come at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "sklearn", "scipy", "matplotlib", "pandas", "optuna", "sqlalchemy", "mlflow", "tensorboard")


def imported(*arguments: str) -> tuple[int, set[str]]:
    """The exit status of Python with ``arguments``, and the packages that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.returncode, {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--help",), 0),
        (("iris", "--epochs", "many"), 2),
        (("iris", "--dropout", "2"), 1),
        (("nothing.csv", "--target", "x"), 1),
        (("one.csv", "--target", "y"), 1),
    ],
)
def test_help_and_errors_need_no_torch(arguments: tuple[str, ...], status: int, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("x,price\n1,2\n")
    data, *options = arguments
    path = tmp_path / data if data == "one.csv" else data
    found, packages = imported("-m", "training", str(path), *options, *(["--models", str(tmp_path)] if options else []))
    assert found == status
    if "--dropout" in options:  # iris comes with scikit-learn
        packages -= {"sklearn", "scipy", "pandas"}
    if data == "one.csv":  # Arrow imports pandas, if it is installed, to recognise its types
        packages -= {"pandas"}
    assert not packages & set(HEAVY)
    assert "training" in packages


def test_help_of_a_search_needs_neither_torch_nor_optuna() -> None:
    status, packages = imported("-m", "training.cli.tune", "--help")
    assert status == 0
    assert not packages & set(HEAVY)


def test_training_needs_neither_scikit_learn_nor_matplotlib_until_the_card_is_drawn() -> None:
    _, packages = imported("-c", "import training.run.fit")
    assert packages & set(HEAVY) == {"torch"}


def test_a_run_that_is_not_tracked_imports_no_tracker() -> None:
    """Of a run's files, those that are imported last: the pipeline and the card."""
    code = (
        "import training.cli.run, training.release.pipeline, training.release.plots\n"
        "from training.run.interrupt import Interrupts; from training.run.tracking import trackers\n"
        "trackers.check(None, None)\n"
        "with trackers.tracked('x', None, None, None, Interrupts()): pass"
    )
    status, packages = imported("-c", code)
    assert status == 0
    assert not packages & {"optuna", "sqlalchemy", "mlflow", "tensorboard"}
