"""Features that tell the target too well."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data import leaks
from training.data.dataset import Column, Dataset

ROWS = 400
RANDOM = np.random.default_rng(3)
NOISE = RANDOM.normal(size=ROWS)
LABELS = RANDOM.integers(0, 3, ROWS)
NUMBERS = RANDOM.normal(size=ROWS) * 10


def dataset(column: Column, values: NDArray[np.float64], *, classifies: bool) -> Dataset:
    return Dataset(
        name="t",
        inputs=np.stack([values, RANDOM.normal(size=ROWS)], axis=1).astype(np.float32),
        targets=LABELS if classifies else NUMBERS[:, None],
        labels=("a", "b", "c") if classifies else (),
        columns=(column, Column("other")),
        target_names=("y",),
        shape=(2,),
    )


NUMERIC, WORDS = Column("x y"), Column("x y", "categorical", categories=tuple("abcdef"))


@pytest.mark.parametrize(
    ("column", "values", "classifies"),
    [
        (NUMERIC, LABELS * 1.0, True),
        (NUMERIC, -LABELS + NOISE.clip(-2, 2) / 10, True),
        (WORDS, (LABELS + 1) % 3 * 1.0, True),  # other names for the labels
        (WORDS, LABELS * 2.0 + (NOISE > 0), True),  # finer ones
        (NUMERIC, np.where(np.arange(ROWS) % 5 == 0, np.nan, LABELS), True),
        (NUMERIC, NUMBERS * 2 + 3, False),
        (NUMERIC, NUMBERS + NOISE / 10, False),
        (NUMERIC, np.exp(NUMBERS), False),
    ],
)
def test_leak_is_noted_with_the_option_that_drops_it(
    column: Column, values: NDArray[np.float64], classifies: bool
) -> None:
    found = leaks.with_notes(dataset(column, values, classifies=classifies), np.arange(ROWS))
    assert found.notes == (
        "'x y' alone tells y almost without error; if it is not known when a prediction is made, leave it out with "
        "--drop 'x y'",
    )


@pytest.mark.parametrize(
    ("column", "values", "classifies"),
    [
        (NUMERIC, NOISE, True),
        (NUMERIC, LABELS + NOISE / 3, True),  # a good feature
        (WORDS, np.where(NOISE > 2, 5, LABELS), True),
        (NUMERIC, np.full(ROWS, np.nan), True),
        (NUMERIC, NUMBERS + NOISE, False),
        (Column("x", "categorical", categories=tuple(map(str, range(ROWS)))), np.arange(ROWS) * 1.0, False),
    ],
)
def test_good_feature_has_no_note(column: Column, values: NDArray[np.float64], classifies: bool) -> None:
    assert leaks.with_notes(dataset(column, values, classifies=classifies), np.arange(ROWS)).notes == ()


def test_training_rows_alone_are_looked_at() -> None:
    values = np.where(np.arange(ROWS) < 300, NOISE, LABELS)
    found = dataset(NUMERIC, values, classifies=True)
    assert leaks.with_notes(found, np.arange(300)).notes == ()
    assert leaks.with_notes(found, np.arange(300, ROWS)).notes != ()
    assert leaks.with_notes(found, np.arange(300, 340)).notes == ()  # too few to tell
