"""The temperature against an exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from training.model import calibration


def miscalibrated(seed: int, rows: int, classes: int, times: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits ``times`` as large as calibrated ones, and labels drawn from the calibrated probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, classes))
    labels = np.array([random.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return (times * logits).astype(np.float32), labels


def log_loss(logits: NDArray[np.floating], labels: NDArray[np.int64], temperature: float) -> float:
    """The mean over the rows and one pseudo-row with a uniform label."""
    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    of_labels = log_probabilities[np.arange(len(labels)), labels]
    return -float(of_labels.sum() + log_probabilities.mean()) / (len(labels) + 1)


@pytest.mark.parametrize("times", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_no_other_temperature_has_a_lower_loss(classes: int, times: float) -> None:
    logits, labels = miscalibrated(classes, 400, classes, times)
    found = calibration.temperature(logits, labels)
    searched = np.exp(np.linspace(np.log(1 / 20), np.log(20), 2001))
    losses = [log_loss(logits, labels, temperature) for temperature in searched]
    assert log_loss(logits, labels, found) <= min(losses) + 1e-9
    assert found == pytest.approx(searched[int(np.argmin(losses))], rel=0.005)


def test_the_temperature_of_an_ensemble_suits_the_mean_of_its_probabilities() -> None:
    logits, labels = miscalibrated(3, 400, 4, 2.0)
    random = np.random.default_rng(1)
    members = np.stack([logits + random.normal(0, 2, logits.shape).astype(np.float32) for _ in range(5)])

    def loss(temperature: float) -> float:
        mean = softmax(members.astype(np.float64) / temperature, axis=2).mean(axis=0)
        return log_loss(np.log(mean), labels, 1.0)

    found = calibration.temperature(members, labels)
    searched = np.exp(np.linspace(np.log(1 / 20), np.log(20), 501))
    assert loss(found) <= min(map(loss, searched)) + 1e-9
    assert calibration.temperature(np.stack([logits] * 3), labels) == pytest.approx(
        calibration.temperature(logits, labels)
    )


@pytest.mark.parametrize("times", [0.25, 4.0])
def test_the_factor_of_miscalibrated_logits_is_found(times: float) -> None:
    assert calibration.temperature(*miscalibrated(0, 20_000, 5, times)) == pytest.approx(times, rel=0.05)


@pytest.mark.parametrize("rows", [2, 20, 200])
def test_correct_rows_alone_do_not_give_certainty(rows: int) -> None:
    logits, labels = np.tile(np.array([[30, 0, 0]], np.float32), (rows, 1)), np.zeros(rows, np.int64)
    confident = softmax(logits[0] / calibration.temperature(logits, labels))
    assert 1 - confident[0] == pytest.approx(2 / 3 / (rows + 1), rel=1e-2)


def test_wrong_rows_alone_give_the_highest_temperature() -> None:
    logits = np.array([[3, 0, 0], [0, 3, 0]], np.float32)
    assert calibration.temperature(logits, np.array([1, 2])) == pytest.approx(20, rel=1e-3)


def test_large_logits_do_not_overflow() -> None:
    logits, labels = miscalibrated(1, 200, 3, 1e4)
    with np.errstate(all="raise", under="ignore"):
        assert calibration.temperature(logits, labels) == pytest.approx(20, rel=1e-3)


def test_a_weighted_row_equals_repeated_rows() -> None:
    logits, labels = miscalibrated(2, 300, 3, 2.0)
    times = np.random.default_rng(0).integers(0, 3, 300)
    weighed = calibration.temperature(logits, labels, times.astype(np.float32))
    repeated = calibration.temperature(np.repeat(logits, times, axis=0), np.repeat(labels, times))
    assert weighed == pytest.approx(repeated, rel=0.01)  # the pseudo-row weighs slightly differently
