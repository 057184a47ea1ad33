"""The processor's mode for numbers near 0: set where we train, and as before everywhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from training.engine.subnormal import flushed

TINY = 1e-40


def counts_as_nothing() -> bool:
    return bool(torch.tensor(TINY) * 1 == 0)


def interrupted() -> None:
    with flushed():
        with flushed():
            pass
        assert counts_as_nothing()
        raise KeyboardInterrupt


def test_it_is_as_before_after_it_also_where_it_is_left_by_an_error() -> None:
    assert not counts_as_nothing()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not counts_as_nothing()


def test_what_imports_us_computes_as_before() -> None:
    code = f"import training, numpy; training.MLPClassifier; assert numpy.float32({TINY}) * numpy.float32(1) != 0"
    subprocess.run([sys.executable, "-c", code], check=True)
