"""The scores are those of training and of scikit-learn, however the rows are split into batches."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from service.models.scores import ClassificationScores, RegressionScores, Score, mcnemar
from training.release import evaluate

RANDOM = np.random.default_rng(0)


def batches(rows: int) -> list[slice]:
    """Batches of uneven sizes, also of one row."""
    cuts = [0, 1, rows // 3, rows // 2, rows]
    return [slice(first, end) for first, end in itertools.pairwise(cuts) if first < end]


def probabilities(rows: int, classes: int, sharpness: float = 2.0) -> NDArray[np.float32]:
    logits = RANDOM.normal(0, sharpness, (rows, classes))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def by_name(scores: ClassificationScores | RegressionScores) -> dict[str, Score]:
    return {each.name: each for each in scores.scores()}


def classified(
    first: NDArray[np.float32], second: NDArray[np.float32], labels: NDArray[np.int64], **options: int
) -> ClassificationScores:
    scores = ClassificationScores(first.shape[1], **options)
    for part in batches(len(labels)):
        scores.add(first[part], second[part], labels[part])
    return scores


@pytest.mark.parametrize(
    ("rows", "classes", "sharpness"), [(1000, 3, 2.0), (700, 2, 30.0), (300, 40, 5.0), (6, 3, 1.0)]
)
def test_a_classification_is_scored_as_in_training(rows: int, classes: int, sharpness: float) -> None:
    both = probabilities(rows, classes, sharpness), probabilities(rows, classes, 1.0)
    labels = RANDOM.integers(0, classes - (classes == 40), rows)  # one class has no rows
    found = by_name(classified(*both, labels, replicates=10))
    for index, given in enumerate(both):
        expected = evaluate.classification(given, labels)
        for name, value in expected.items():
            score = found[name]
            assert (score.first, score.second)[index] == pytest.approx(value, rel=1e-9, abs=1e-12), name
        exact = given.astype(np.float64) / given.astype(np.float64).sum(axis=1, keepdims=True)
        brier = metrics.brier_score_loss(labels, exact, labels=np.arange(classes))
        assert (found["brier"].first, found["brier"].second)[index] == pytest.approx(brier, rel=1e-5)


def test_certain_and_wrong_predictions_have_a_finite_log_loss() -> None:
    given = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    labels = np.array([1, 1, 0])
    found = by_name(classified(given, given, labels, replicates=2))["log_loss"]
    assert found.first == pytest.approx(evaluate.classification(given, labels)["log_loss"], rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1.7e9])
@pytest.mark.parametrize("targets", [1, 3])
def test_a_regression_is_scored_as_in_training(targets: int, offset: float) -> None:
    true = RANDOM.normal(0, [1, 10, 0.1][:targets], (500, targets)) + offset
    both = [true + RANDOM.normal(0, deviation, true.shape) for deviation in (0.5, 0.7)]
    scores = RegressionScores(targets, replicates=10)
    for part in batches(len(true)):
        scores.add(both[0][part], both[1][part], true[part])
    found = by_name(scores)
    for index, values in enumerate(both):
        for name, value in evaluate.regression(values, true).items():
            assert (found[name].first, found[name].second)[index] == pytest.approx(value, rel=1e-6), name
    change = np.abs(both[0] - both[1])
    assert scores.comparison() == {
        "mean_absolute_change": pytest.approx(change.mean()),
        "max_change": pytest.approx(change.max()),
    }


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_a_target_that_never_varies(error: float) -> None:
    true = np.full((7, 1), 0.5)
    scores = RegressionScores(1, replicates=2)
    scores.add(true + error, true, true)
    with warnings.catch_warnings(action="ignore"):
        expected = metrics.r2_score(true, true + error)
    assert (by_name(scores)["r2"].first, by_name(scores)["r2"].second) == (expected, 1.0)


def test_agreement_and_rows_that_only_one_has_right() -> None:
    first, second = probabilities(400, 3), probabilities(400, 3)
    labels = RANDOM.integers(0, 3, 400)
    found = classified(first, second, labels, replicates=2).comparison()
    right = [given.argmax(axis=1) == labels for given in (first, second)]
    only = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
    change = np.abs(first.astype(np.float64) - second)
    assert found == {
        "agreement": float((first.argmax(axis=1) == second.argmax(axis=1)).mean()),
        "mean_absolute_probability_change": pytest.approx(change.mean()),
        "max_probability_change": pytest.approx(change.max()),
        "only_first_right": only[0],
        "only_second_right": only[1],
        "mcnemar_p": pytest.approx(stats.binomtest(only[0], sum(only)).pvalue),
    }


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(0, 0), (0, 1), (5, 5), (2, 9), (40, 20), (500, 500), (530, 470)]
)
def test_mcnemar_is_the_exact_test(only_first: int, only_second: int) -> None:
    changed = only_first + only_second
    expected = stats.binomtest(only_first, changed).pvalue if changed else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("only_first", "only_second"), [(600, 500), (50_000, 50_400), (10**6, 10**6)])
def test_mcnemar_is_close_to_it_for_many_rows(only_first: int, only_second: int) -> None:
    expected = stats.binomtest(only_first, only_first + only_second).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=0.02)


def test_the_interval_is_that_of_a_bootstrap() -> None:
    """The same width as scipy's, which resamples rows with replacement."""
    true = RANDOM.normal(0, 1, (800, 1))
    first, second = true + RANDOM.normal(0, 0.5, true.shape), true + RANDOM.normal(0, 0.6, true.shape)
    scores = RegressionScores(1)
    scores.add(first, second, true)

    def difference(rows: NDArray[np.int64], axis: int = -1) -> Any:
        del axis
        return np.abs(second[rows] - true[rows]).mean() - np.abs(first[rows] - true[rows]).mean()

    expected = stats.bootstrap(
        (np.arange(800),), difference, n_resamples=1000, method="percentile", vectorized=False, random_state=0
    ).confidence_interval
    found = by_name(scores)["mae"]
    assert found.interval is not None
    width = expected.high - expected.low
    assert found.interval[0] == pytest.approx(expected.low, abs=0.15 * width)
    assert found.interval[1] == pytest.approx(expected.high, abs=0.15 * width)
    assert found.verdict == "worse"


def test_the_interval_covers_no_difference_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(50):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, 400)
        both = []
        for _ in range(2):
            right = random.random(400) < 0.8
            both.append(np.eye(2, dtype=np.float32)[np.where(right, labels, 1 - labels)] * 0.8 + 0.1)
        scores = ClassificationScores(2, seed, replicates=400)
        scores.add(both[0], both[1], labels)
        interval = by_name(scores)["accuracy"].interval
        assert interval is not None
        covered += interval[0] <= 0 <= interval[1]
    assert 42 <= covered <= 50


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second, labels = probabilities(50, 3), probabilities(50, 3), RANDOM.integers(0, 3, 50)
    assert classified(first, second, labels).scores() == classified(first, second, labels).scores()


def test_a_model_compared_with_itself() -> None:
    given, labels = probabilities(50, 3), RANDOM.integers(0, 3, 50)
    for score in classified(given, given, labels).scores():
        assert score.difference == 0
        assert score.interval in {None, (0.0, 0.0)}
        assert score.verdict == "unclear"


@pytest.mark.parametrize(
    ("name", "interval", "verdict"),
    [
        ("accuracy", (0.1, 0.2), "better"),
        ("accuracy", (-0.2, -0.1), "worse"),
        ("log_loss", (0.1, 0.2), "worse"),
        ("mae", (-0.2, -0.1), "better"),
        ("r2", (-0.1, 0.1), "unclear"),
        ("r2", (math.nan, math.nan), "unclear"),
        ("accuracy", None, "unclear"),
    ],
)
def test_the_verdict(name: str, interval: tuple[float, float] | None, verdict: str) -> None:
    assert Score(name, 0, 0, interval).verdict == verdict


def test_one_row() -> None:
    scores = ClassificationScores(2)
    scores.add(np.array([[0.6, 0.4]], np.float32), np.array([[0.4, 0.6]], np.float32), np.array([1]))
    found = by_name(scores)
    assert (found["accuracy"].first, found["accuracy"].second) == (0, 1)
