"""Plots of hard cases: labels in any script, classes without rows, a single epoch."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest

from training.engine.trainer import Epoch
from training.release import plots

HARD = ("$a_$", "$^{", "<b>&|*", "日本", "", "a\nb", "x" * 80)


def drawn(content: bytes) -> tuple[int, ...]:
    """Height and width of an image that is not blank."""
    picture = matplotlib.image.imread(io.BytesIO(content), format="png")
    assert picture[..., :3].std() > 0
    return tuple(picture.shape[:2])


def test_labels_in_any_script_are_drawn() -> None:
    true, predicted = np.arange(7).repeat(3), np.arange(21) % 7
    drawn(plots.confusion(true, predicted, HARD))


def test_target_names_in_any_script_are_drawn() -> None:
    values = np.random.default_rng(0).normal(0, 1, (50, 2)).astype(np.float32)
    drawn(plots.predicted(values, values + 1, ("$a_$", "日本")))


def test_a_class_without_rows_leaves_its_row_empty() -> None:
    drawn(plots.confusion(np.array([0, 0, 1]), np.array([0, 1, 2]), ("a", "b", "c")))


@pytest.mark.parametrize("classes", [2, 60])
def test_few_and_many_classes_fit(classes: int) -> None:
    labels = np.arange(classes)
    height, width = drawn(plots.confusion(labels, labels[::-1], [str(label) for label in labels]))
    assert max(height, width) < 2500


@pytest.mark.parametrize("rows", [1, 500])
def test_a_reliability_diagram_of_few_and_many_rows(rows: int) -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), rows).astype(np.float32)
    drawn(plots.reliability(probabilities, random.integers(0, 3, rows)))


@pytest.mark.parametrize("epochs", [1, 30])
def test_a_learning_curve_of_one_epoch_and_of_many(epochs: int) -> None:
    drawn(plots.learning([Epoch(number, 1 / number, 2 / number, 0.5, 0.1) for number in range(1, epochs + 1)], "R²"))


def test_an_image_shows_its_pixels_enlarged() -> None:
    pixels = np.array([[0, 128, 255], [255, 0, 64]], np.uint8)
    picture = matplotlib.image.imread(io.BytesIO(plots.image(pixels)), format="png")[..., 0]
    expected = np.kron(pixels / 255, np.ones((8, 8)))
    assert np.abs(picture - expected).max() < 0.01


def test_the_same_data_gives_the_same_bytes() -> None:
    labels = np.arange(30) % 3
    assert plots.confusion(labels, labels, "abc") == plots.confusion(labels, labels, "abc")
