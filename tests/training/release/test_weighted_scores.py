"""Ranking scores, baselines and row weights, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor

from tests.training.release.test_evaluate import random_predictions
from training.release import evaluate, thresholds

WEIGHTS = np.random.default_rng(5).integers(0, 4, 400).astype(np.float64)


@pytest.mark.parametrize("classes", [2, 5])
def test_integer_weights_are_as_good_as_repeated_rows(classes: int) -> None:
    probabilities, labels = random_predictions(1, 400, classes)
    repeated = np.repeat(np.arange(400), WEIGHTS.astype(int))
    for scores_of in (evaluate.classification, evaluate.ranking):
        weighted = scores_of(probabilities, labels, WEIGHTS)
        assert weighted == pytest.approx(scores_of(probabilities[repeated], labels[repeated]))
        assert weighted != pytest.approx(scores_of(probabilities, labels))
    values, targets = probabilities, np.random.default_rng(2).normal(size=probabilities.shape)
    weighted = evaluate.regression(values, targets, WEIGHTS)
    assert weighted == pytest.approx(evaluate.regression(values[repeated], targets[repeated]))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_ranking_scores_are_scikit_learns(weights: NDArray[np.float64] | None) -> None:
    probabilities, labels = random_predictions(2, 400, 2)
    assert evaluate.ranking(probabilities, labels, weights) == {
        "roc_auc": pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1], sample_weight=weights)),
        "average_precision": pytest.approx(
            metrics.average_precision_score(labels, probabilities[:, 1], sample_weight=weights)
        ),
    }
    probabilities, labels = random_predictions(2, 400, 4)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    one_hot = np.eye(4)[labels]
    assert evaluate.ranking(probabilities, labels, weights) == {
        "roc_auc": pytest.approx(metrics.roc_auc_score(labels, exact, multi_class="ovr", sample_weight=weights)),
        "average_precision": pytest.approx(
            metrics.average_precision_score(one_hot, probabilities, average="macro", sample_weight=weights)
        ),
    }


def test_classes_that_cannot_be_ranked_are_left_out() -> None:
    probabilities, labels = random_predictions(2, 400, 3)
    labels = np.minimum(labels, 1)
    areas = [metrics.roc_auc_score(labels == label, probabilities[:, label]) for label in (0, 1)]
    assert evaluate.ranking(probabilities, labels)["roc_auc"] == pytest.approx(np.mean(areas))
    assert evaluate.ranking(probabilities, np.zeros(400, np.int64)) == {}
    assert evaluate.ranking(probabilities[:, :2], labels, (labels == 0).astype(np.float64)) == {}
    many = evaluate.MAX_RANKED_CLASSES + 1
    assert evaluate.ranking(np.full((4, many), 1 / many, np.float32), np.arange(4)) == {}


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_baseline_of_classes_is_scikit_learns(weights: NDArray[np.float64] | None) -> None:
    _, train = random_predictions(3, 400, 3)
    _, labels = random_predictions(4, 400, 3)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((400, 1)), train, sample_weight=weights)
    constant = dummy.predict_proba(np.zeros((400, 1)))
    found = evaluate.class_baseline(train, labels, 3, weights, weights)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, constant, sample_weight=weights), rel=1e-6)
    assert found["accuracy"] == pytest.approx(dummy.score(np.zeros((400, 1)), labels, sample_weight=weights))
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["roc_auc"] == pytest.approx(0.5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_baseline_of_numbers_is_scikit_learns(weights: NDArray[np.float64] | None) -> None:
    random = np.random.default_rng(6)
    train, targets = random.exponential(1, (400, 2)), random.exponential(1, (400, 2))
    rows = np.zeros((400, 1))
    mean, median = (
        DummyRegressor(strategy=strategy).fit(rows, train, sample_weight=weights).predict(rows)
        for strategy in ("mean", "median")
    )
    found = evaluate.number_baseline(train, targets, weights, weights)
    assert found == {
        "mae": pytest.approx(metrics.mean_absolute_error(targets, median, sample_weight=weights), rel=1e-3),
        "rmse": pytest.approx(metrics.root_mean_squared_error(targets, mean, sample_weight=weights)),
        "r2": pytest.approx(metrics.r2_score(targets, mean, sample_weight=weights)),
    }


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_thresholds_are_scikit_learns(weights: NDArray[np.float64] | None) -> None:
    probabilities, labels = random_predictions(7, 400, 2)
    found = thresholds.thresholds(probabilities, labels, weights, 0.321)
    assert [each.at for each in found.shown] == pytest.approx(np.arange(0.05, 0.951, 0.05))
    assert found.best is not None
    for each in (*found.shown, found.best):
        flagged = probabilities[:, 1] >= np.float32(each.at)
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            labels, flagged, average="binary", sample_weight=weights, zero_division=0
        )
        assert (each.precision, each.recall, each.f1) == pytest.approx((precision, recall, f1))
        assert each.flagged == pytest.approx(np.average(flagged, weights=weights))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_best_threshold_has_the_best_f1(weights: NDArray[np.float64] | None) -> None:
    probabilities, labels = random_predictions(8, 400, 2)
    best = thresholds.best_by_f1(probabilities, labels, weights)
    assert best is not None
    found = thresholds.at_threshold(probabilities[:, 1], labels == 1, weights, best).f1
    others = [
        metrics.f1_score(labels, probabilities[:, 1] >= each, sample_weight=weights, zero_division=0)
        for each in np.unique(probabilities[:, 1])
    ]
    assert found == pytest.approx(max(others))


def test_without_a_positive_row_no_threshold_is_best() -> None:
    probabilities, _ = random_predictions(8, 4, 2)
    assert thresholds.best_by_f1(probabilities, np.zeros(4, np.int64), None) is None
    assert thresholds.best_by_f1(probabilities, np.array([1, 0, 0, 0]), np.array([0.0, 1, 1, 1])) is None
    found = thresholds.thresholds(probabilities, np.zeros(4, np.int64), None, None)
    assert found.best is None
    assert {(each.precision, each.recall, each.f1) for each in found.shown} == {(0.0, 0.0, 0.0)}
