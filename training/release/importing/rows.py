"""Rows to try a foreign graph on: from a file, or random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

MAX_ROWS: Final = 10_000
_RANDOM_ROWS: Final = 64


def read(path: Path) -> NDArray[np.float64]:
    """The rows of a file, (rows, features): a request body as JSON, an ``.npy`` array, or a CSV file of numbers.

    Nested rows are flattened. Raises `DataError`.
    """
    try:
        values = _values(path)
        rows = np.asarray(values, np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"--example {path} cannot be read ({next(iter(str(error).splitlines()), 'no content')}); expected "
            '{"inputs": [[...], ...]} in JSON, an array in .npy, or numbers in .csv'
        ) from error
    if rows.ndim < 2 or not rows.size:
        raise DataError(f"--example {path} has the shape {rows.shape}, expected one or more rows of numbers")
    return rows[:MAX_ROWS].reshape(min(len(rows), MAX_ROWS), -1)


def random(features: int, low: float, high: float, *, whole: bool) -> NDArray[np.float64]:
    """Uniform rows (rows, ``features``) from ``low`` to ``high``, of integers if ``whole``; always the same."""
    rows = np.random.default_rng(0).uniform(low, high, (_RANDOM_ROWS, features))
    return np.rint(rows) if whole else rows


def _values(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        lines = text.splitlines()
        has_header = bool(lines) and not _is_number(lines[0].split(",")[0])
        return np.loadtxt(lines[has_header:], delimiter=",", ndmin=2)
    document = json.loads(text)
    rows = document.get("inputs", document.get("instances")) if isinstance(document, dict) else document
    if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
        return [list(row.values()) for row in rows]
    return rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
