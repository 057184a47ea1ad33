"""Pictures of classes in hard cases: labels in any script, classes without rows, many classes, few mistakes."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest

from tests.training.release.test_plots import HARD, drawn
from training.release import class_plots


def test_labels_in_any_script_are_drawn() -> None:
    true, predicted = np.arange(7).repeat(3), np.arange(21) % 7
    drawn(class_plots.confusion(true, predicted, HARD))


def test_a_class_without_rows_leaves_its_row_empty() -> None:
    drawn(class_plots.confusion(np.array([0, 0, 1]), np.array([0, 1, 2]), ("a", "b", "c")))


@pytest.mark.parametrize("classes", [2, 130])
def test_few_and_many_classes_fit(classes: int) -> None:
    labels = np.arange(classes)
    height, width = drawn(class_plots.confusion(labels, labels[::-1], [str(label) for label in labels]))
    assert max(height, width) < 2500


@pytest.mark.parametrize("rows", [1, 500])
def test_a_reliability_diagram_of_few_and_many_rows(rows: int) -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), rows).astype(np.float32)
    drawn(class_plots.reliability(probabilities, random.integers(0, 3, rows)))


def test_the_same_data_gives_the_same_bytes() -> None:
    labels = np.arange(30) % 3
    assert class_plots.confusion(labels, labels, "abc") == class_plots.confusion(labels, labels, "abc")


@pytest.mark.parametrize("count", [1, 3, 12])
def test_mistakes_show_the_pixels_of_each_image(count: int) -> None:
    images = np.zeros((count, 4, 6), np.uint8)
    images[:, ::2] = 255
    captions = [(HARD[index % len(HARD)], 1 - index / 12, HARD[-1]) for index in range(count)]
    picture = matplotlib.image.imread(io.BytesIO(class_plots.mistakes(images, captions)), format="png")
    dark = (picture[..., :3].max(axis=2) < 0.01).sum(axis=0)
    assert (dark > 0).mean() > 0.5, "the black rows of the images span most of the width"
