"""Fixtures shared by several files of tests."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.published import TABLE, publish
from tests.service.trapped import publish_trapped


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with `small/1`, of four numeric features and three classes."""
    publish(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def shared_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for all tests that do not write to it."""
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@pytest.fixture(scope="session")
def trapped_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared folder whose `small/1` fails or is slow for some rows."""
    folder = tmp_path_factory.mktemp("models")
    publish_trapped(folder)
    return folder


@pytest.fixture
def version_dir(tmp_path: Path) -> Path:
    """A published model of a table with a column of each kind."""
    publish(tmp_path / "models", "table", features=TABLE)
    return tmp_path / "models" / "table" / "1"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """The loggers and warnings are restored after a test that configures the log."""
    loggers = logging.getLogger(), logging.getLogger("uvicorn")
    before = [(list(logger.handlers), logger.level) for logger in loggers]
    show = warnings.showwarning
    yield
    warnings.showwarning = show
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
