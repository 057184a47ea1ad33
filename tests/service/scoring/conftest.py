"""Fixtures of the tests of mlp-score."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.scoring.readers import pieces, source
from tests.service.image_models import publish_images
from tests.service.published import publish
from tests.service.scoring.scoring import Scoring, publish_table


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models: four numbers, the same as a regression, a table, and pictures."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small")
    publish(folder, "numbers", targets=("price", "rent"))
    publish_table(folder)
    publish_images(folder, "pictures", (4, 6))
    return folder


@pytest.fixture
def score(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Scoring:
    """mlp-score without settings in the environment."""
    for name in os.environ:
        if name.upper().startswith("MLP_"):
            monkeypatch.delenv(name)
    return Scoring(models, tmp_path, capsys)


@pytest.fixture
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few rows, so that short files have many."""
    monkeypatch.setattr(source, "_MOST_ROWS", 7)
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 64)
