"""Fixtures shared by several files of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.published import TABLE, publish


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with `small/1`, of four numeric features and three classes."""
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def version_dir(tmp_path: Path) -> Path:
    """A published model of a table with a column of each kind."""
    publish(tmp_path / "models", "table", features=TABLE)
    return tmp_path / "models" / "table" / "1"
