"""Plots of hard cases: names in any script, a single epoch, no validation rows, very large and very small numbers."""

from __future__ import annotations

import io
import math

import matplotlib.image
import numpy as np
import pytest

from service.importance import FeatureImportance
from training.engine.trainer import Epoch
from training.release import plots

HARD = ("$a_$", "$^{", "<b>&|*", "日本", "", "a\nb", "x" * 80)


def drawn(content: bytes) -> tuple[int, ...]:
    """Height and width of an image that is not blank."""
    picture = matplotlib.image.imread(io.BytesIO(content), format="png")
    assert picture[..., :3].std() > 0
    return tuple(picture.shape[:2])


@pytest.mark.parametrize("size", [1e-8, 1, 1e12])
def test_targets_of_any_size_and_name_are_drawn(size: float) -> None:
    values = np.random.default_rng(0).normal(0, size, (50, 2))
    drawn(plots.predicted(values, values + size, ("$a_$", "日本" * 40)))


@pytest.mark.parametrize("error", [0, 1e-12, 3])
def test_errors_that_are_all_the_same_are_drawn(error: float) -> None:
    values = np.random.default_rng(0).normal(0, 1e3, (50, 1))
    drawn(plots.predicted(values, values + error, ("rent",)))


def test_of_many_rows_some_are_drawn() -> None:
    values = np.random.default_rng(0).normal(0, 1, (20_000, 1))
    drawn(plots.predicted(values, values + 1, ("rent",)))


@pytest.mark.parametrize("epochs", [1, 30])
@pytest.mark.parametrize("validation_loss", [0.5, math.nan])
def test_a_learning_curve_of_one_epoch_and_of_many(epochs: int, validation_loss: float) -> None:
    history = [Epoch(number, 1 / number, validation_loss, 0.5, 0.1) for number in range(1, epochs + 1)]
    drawn(plots.learning(history, "R²", kept=epochs))


def test_features_of_any_name_and_importance_are_drawn() -> None:
    drawn(plots.importance([FeatureImportance(name, 0.5 - at, 0.1) for at, name in enumerate(HARD)], "how much"))
    drawn(plots.importance([FeatureImportance("a", 0.0, 0.0)], "how much"))


def test_an_image_shows_its_pixels_enlarged() -> None:
    pixels = np.array([[0, 128, 255], [255, 0, 64]], np.uint8)
    picture = matplotlib.image.imread(io.BytesIO(plots.image(pixels)), format="png")[..., 0]
    expected = np.kron(pixels / 255, np.ones((8, 8)))
    assert np.abs(picture - expected).max() < 0.01
