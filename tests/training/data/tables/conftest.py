"""Where the tests of tables write their files."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A CSV file that is not written yet."""
    return tmp_path / "people of 2024.csv"
