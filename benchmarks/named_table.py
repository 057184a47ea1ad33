"""A table of 19 columns, ten of them texts: its rows as CSV to train on and as JSON by feature name."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np

TARGET: Final = "answer"
TRAINING_ROWS: Final = 5_000
# How many different texts each of these columns has.
TEXTS: Final = {
    "job": 12,
    "marital": 4,
    "education": 8,
    "housing": 3,
    "loan": 3,
    "contact": 2,
    "month": 12,
    "weekday": 7,
    "channel": 5,
    "region": 40,
}
NUMBERS: Final = ("age", "balance", "duration", "campaign", "passed_days", "previous", "rate", "price_index", "index")


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """``count`` random rows: a string or a number by column, the same for the same ``seed``."""
    rng = np.random.default_rng(seed)
    texts = {name: rng.integers(0, size, count) for name, size in TEXTS.items()}
    numbers = {name: rng.normal(10.0, 3.0, count).round(3) for name in NUMBERS}
    return [
        {name: f"{name} {codes[row]}" for name, codes in texts.items()}
        | {name: float(values[row]) for name, values in numbers.items()}
        for row in range(count)
    ]


def write(file: Path) -> None:
    """Write rows to train on; yes or no depends on some columns and on chance."""
    found = rows(TRAINING_ROWS, seed=1)
    chance = np.random.default_rng(2).random(TRAINING_ROWS)
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, [*TEXTS, *NUMBERS, TARGET])
        writer.writeheader()
        for row, drawn in zip(found, chance, strict=True):
            score = (row["age"] - row["rate"]) / 3 + (row["job"] in ("job 1", "job 2", "job 3")) * 2 - 0.5
            writer.writerow(row | {TARGET: "yes" if drawn < 1 / (1 + np.exp(-score)) else "no"})
