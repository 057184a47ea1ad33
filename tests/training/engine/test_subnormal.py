"""Subnormal numbers are flushed to zero during training, and nowhere else."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from training.engine.subnormal import flushed

TINY = 1e-40


def is_flushed() -> bool:
    return bool(torch.tensor(TINY) * 1 == 0)


def interrupted() -> None:
    with flushed():
        with flushed():
            pass
        assert is_flushed()
        raise KeyboardInterrupt


def test_the_mode_is_restored_also_after_an_error() -> None:
    assert not is_flushed()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_flushed()


def test_importing_training_does_not_change_the_mode() -> None:
    code = f"import training, numpy; training.MLPClassifier; assert numpy.float32({TINY}) * numpy.float32(1) != 0"
    subprocess.run([sys.executable, "-c", code], check=True)
