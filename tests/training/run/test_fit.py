"""What a run prints when it ends: why training stopped, and the scores."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.training import small
from tests.training.release.test_importance import run_of
from training.config import Config
from training.engine.arithmetic import Arithmetic
from training.engine.trainer import Epoch
from training.release.training_run import Candidate
from training.run import fit

SCORES = {"fp32": {"mae": 24633.7828, "r2": 0.96864}, "int8": {"mae": 24700.0, "r2": 0.9685}}
BASELINE = {"mae": 144807.5, "r2": -0.00431}


@pytest.mark.parametrize(
    ("epochs", "best", "patience", "end"),
    [
        (50, 50, 20, ""),
        (50, 30, 20, ""),
        (35, 15, 20, " stopped early, as the validation loss was not lower for 20 epochs;"),
        (35, 35, 20, " stopped before epoch 36 of 50;"),
        (35, 35, 0, " stopped before epoch 36 of 50;"),
    ],
)
def test_the_reason_why_training_ended_is_given(epochs: int, best: int, patience: int, end: str) -> None:
    history = [Epoch(number, 1.0, 1.0, 1.0, 1.0) for number in range(1, epochs + 1)]
    assert fit._end(history, history[best - 1], Config(epochs=50, patience=patience)) == end


@pytest.mark.parametrize(
    ("arithmetic", "line"),
    [
        (Arithmetic("bfloat16", 1.76), "bfloat16: 1.8 x float32 on this processor\n"),
        (Arithmetic("bfloat16"), ""),  # a setting, or a network too small to measure
    ],
)
def test_a_measured_arithmetic_is_printed(arithmetic: Arithmetic, line: str) -> None:
    file = io.StringIO()
    fit._print_arithmetic(Console(file=file, width=80), arithmetic)
    assert file.getvalue() == line


def printed(*, terminal: bool) -> str:
    file = io.StringIO()
    run = run_of(small.values(small.noise(40, 1), small.noise(40, 1), ("price",)), lambda rows: rows)
    candidate = Candidate(run, b"", (), {}, None, SCORES, baseline=BASELINE)
    fit._print_scores(candidate, Console(file=file, force_terminal=terminal, width=80, color_system=None))
    return file.getvalue()


def test_a_terminal_gets_a_table_of_the_scores() -> None:
    lines = [line.split() for line in printed(terminal=True).splitlines()]
    assert ["on", "40", "test", "rows", "fp32", "int8", "baseline"] in lines
    assert ["mean", "absolute", "error", "24,634", "24,700", "144,808"] in lines
    assert ["R²", "0.9686", "0.9685", "-0.0043"] in lines


def test_a_log_gets_a_line_for_each_precision() -> None:
    assert printed(terminal=False) == (
        "test scores, fp32: mae 24633.7828, r2 0.9686\n"
        "test scores, int8: mae 24700.0000, r2 0.9685\n"
        "baseline, always the mean, or for mae the median: mae 144807.5000, r2 -0.0043\n"
    )
