"""Train on one thread, since the networks are tiny; one published run is shared by many tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.trained import Trained, train


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits(_one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A published small network for handwritten digits, not to be changed."""
    return train(tmp_path_factory.mktemp("models"), "digits", "--hidden", "32", "--epochs", "20", "--lr", "0.02")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder to publish in."""
    return tmp_path / "models"
