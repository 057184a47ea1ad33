"""What more than one file of tests starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.published import TABLE, publish


@pytest.fixture
def version_dir(tmp_path: Path) -> Path:
    """A published model of a table with a column of each kind, whole until a test damages it."""
    publish(tmp_path / "models", "table", features=TABLE)
    return tmp_path / "models" / "table" / "1"
