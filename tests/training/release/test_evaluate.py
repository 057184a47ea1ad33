"""Scores against their definitions, written as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from training.release import evaluate


def random_predictions(seed: int, rows: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities and labels, 70 % of which agree."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.3), rows).astype(np.float32)
    labels = np.where(random.random(rows) < 0.7, probabilities.argmax(axis=1), random.integers(0, classes, rows))
    return probabilities, labels


def calibration_error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(15)]
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        bins[min(math.floor(confidence * 15), 14)].append((confidence, row.index(confidence) == label))
    error = 0.0
    for rows in filter(None, bins):
        confidence = sum(each for each, _ in rows) / len(rows)
        accuracy = sum(correct for _, correct in rows) / len(rows)
        error += len(rows) / len(labels) * abs(confidence - accuracy)
    return error


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_the_calibration_error_equals_its_definition(rows: int, classes: int) -> None:
    probabilities, labels = random_predictions(rows, rows, classes)
    expected = calibration_error(probabilities, labels)
    assert evaluate.calibration_error(probabilities, labels) == pytest.approx(expected, abs=1e-12)


def test_certain_predictions_have_an_error_of_0_if_correct_and_1_if_wrong() -> None:
    certain = np.array([[1, 0], [0, 1]], np.float32)
    assert evaluate.calibration_error(certain, np.array([0, 1])) == 0
    assert evaluate.calibration_error(certain, np.array([1, 0])) == 1


def test_every_row_is_in_one_bin() -> None:
    probabilities, labels = random_predictions(0, 3000, 4)
    confidence, accuracy, counts = evaluate.reliability(probabilities, labels)
    assert counts.sum() == 3000
    filled = counts > 0
    bins = np.arange(evaluate.BINS)[filled]
    assert (confidence[filled] >= bins / evaluate.BINS).all()
    assert (confidence[filled] <= (bins + 1) / evaluate.BINS).all()
    assert not confidence[~filled].any()
    assert not accuracy[~filled].any()
    correct = (probabilities.argmax(axis=1) == labels).sum()
    assert (accuracy * counts).sum() == pytest.approx(correct)


def test_classification_scores_equal_their_definitions() -> None:
    probabilities, labels = random_predictions(3, 500, 4)
    predicted = [row.index(max(row)) for row in probabilities.tolist()]
    correct = [one == other for one, other in zip(predicted, labels.tolist(), strict=True)]
    of_class = [[hit for hit, label in zip(correct, labels, strict=True) if label == each] for each in range(4)]
    true_probabilities = [row[label] / sum(row) for row, label in zip(probabilities.tolist(), labels, strict=True)]
    assert evaluate.classification(probabilities, labels) == {
        "accuracy": pytest.approx(sum(correct) / 500),
        "balanced_accuracy": pytest.approx(sum(sum(hits) / len(hits) for hits in of_class) / 4),
        "log_loss": pytest.approx(-sum(map(math.log, true_probabilities)) / 500),
        "ece": pytest.approx(calibration_error(probabilities, labels)),
    }


def test_a_true_class_of_probability_0_has_a_finite_loss() -> None:
    scores = evaluate.classification(np.array([[1, 0], [0, 1]], np.float32), np.array([1, 1]))
    assert 10 < scores["log_loss"] < 100


def test_a_class_without_rows_does_not_lower_the_balanced_accuracy() -> None:
    scores = evaluate.classification(np.eye(3, dtype=np.float32)[[1, 1, 2]], np.array([1, 1, 1]))
    assert scores["balanced_accuracy"] == pytest.approx(2 / 3)


def test_regression_scores_equal_their_definitions() -> None:
    random = np.random.default_rng(0)
    targets = random.normal(5, 2, (300, 2)).astype(np.float32)
    values = (targets + random.normal(0, 0.5, (300, 2))).astype(np.float32)
    errors = (values - targets).astype(np.float64)
    total = ((targets - targets.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=0)
    assert evaluate.regression(values, targets) == {
        "mae": pytest.approx(np.abs(errors).mean(), rel=1e-5),
        "rmse": pytest.approx(np.sqrt((errors**2).mean(axis=0)).mean(), rel=1e-5),
        "r2": pytest.approx((1 - (errors**2).sum(axis=0) / total).mean(), rel=1e-5),
    }


def test_a_million_classes_need_no_matrix_of_them() -> None:
    labels, predicted = np.array([0, 999_999, 999_999]), np.array([0, 999_999, 5])
    found = evaluate.by_class(labels, predicted, 1_000_000)
    assert (found["recall"][999_999], found["precision"][5], found["rows"].sum()) == (0.5, 0, 3)


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_by_class_are_those_of_the_confusion_matrix(weighted: bool) -> None:
    probabilities, labels = random_predictions(3, 500, 6)
    weights = np.random.default_rng(0).random(500) if weighted else None
    predicted = probabilities.argmax(axis=1)
    matrix = evaluate.confusion(labels, predicted, 6, weights)
    found = evaluate.by_class(labels, predicted, 6, weights)
    np.testing.assert_allclose(found["recall"], matrix.diagonal() / matrix.sum(axis=1))
    np.testing.assert_allclose(found["precision"], matrix.diagonal() / matrix.sum(axis=0))
