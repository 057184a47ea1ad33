"""A change of unit is noticed; more data, outliers and time that goes by are not mistaken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.manifest import Feature
from training.release import units
from training.release.interface import Interface

RANDOM = np.random.default_rng(0)
METRES = RANDOM.normal(1.7, 0.1, 32)
HEIGHT = Feature("height", "numeric", False, (), False, 1.7, 0.1, 1.4, 2.0)
TABLE = Interface("classification", ("a", "b"), ("y",), (HEIGHT,), (1,), "float32", "float32", None)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (METRES, METRES * 1000, True),
        (METRES * 1000, METRES, True),
        (RANDOM.uniform(1, 255, 32), RANDOM.uniform(0, 1, 500), True),
        (METRES, RANDOM.normal(1.7, 0.1, 500), False),
        (METRES, METRES * 1.09, False),
        (RANDOM.lognormal(0, 2, 32), RANDOM.lognormal(0, 2, 5000), False),
        (1.7e9 + RANDOM.uniform(0, 1e5, 32), 1.7e9 + RANDOM.uniform(2e5, 3e5, 500), False),  # seconds since 1970
        (np.zeros(32), RANDOM.uniform(0, 1, 500), False),
        (METRES[:9], METRES * 1000, False),
        (np.where(RANDOM.random(64) < 0.5, np.nan, 2.0), np.full(40, 2000.0), True),
    ],
)
def test_a_column_in_another_unit(old: np.ndarray, new: np.ndarray, expected: bool) -> None:
    assert units.differs(old, new) is expected


def test_features_and_targets_are_named() -> None:
    rows = np.stack([METRES], axis=1)
    assert units.changed(TABLE, TABLE, rows, rows * 1000) == [
        "the feature 'height' seems to be in another unit: half of 'height' is beyond "
        f"±{np.median(METRES) * 1000:.3g}, and was beyond ±{np.median(METRES):.3g}"
    ]
    assert units.changed_targets(("price",), rows, rows / 1000)[0].startswith("the target 'price' seems to be in ")
    assert units.changed(TABLE, TABLE, rows, rows) == units.changed_targets(("price",), rows, rows) == []


def test_images_are_judged_by_their_brightest_pixel() -> None:
    """Half of the pixels are black."""
    images, binary = (
        replace(
            TABLE, input_dtype="uint8", features=(replace(HEIGHT, max=0.0), replace(HEIGHT, name="b", max=brightest))
        )
        for brightest in (255.0, 1.0)
    )
    rows = np.zeros((32, 2), np.uint8)
    assert units.changed(images, binary, rows, rows) == ["its pixels go up to 1, and went up to 255"]
    assert units.changed(images, images, rows, rows + 255) == []
