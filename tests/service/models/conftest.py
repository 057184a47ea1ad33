"""Fixtures of the tests of mlp-models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.service.models.command_line import CommandLine
from tests.service.published import publish


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A models folder with versions 1, 2 and 3 of ``small``, none of which answers like another."""
    for version in (1, 2, 3):
        publish(tmp_path / "models", "small", version, seed=version)
    return tmp_path / "models"


@pytest.fixture
def mlp_models(versions: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """mlp-models on the folder ``versions``, without settings in the environment."""
    for name in os.environ:
        if name.upper().startswith("MLP_"):
            monkeypatch.delenv(name)
    return CommandLine(versions, capsys)
