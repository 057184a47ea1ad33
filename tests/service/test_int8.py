"""The limits for an int8 graph: what they accept and reject, and how often they reject by chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from service import int8
from service.int8 import Int8, Probabilities
from tests.service.quantized import EVIDENCE

LABELS = ("ape", "bee", "cat")
FIGURES = Probabilities(0.01, 0.01, 0.02, 1.2, (0.5, 0.4, 0.1), (0.5, 0.4, 0.1), (0.1, 0.2, 0.3), (0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"rows": 1999, "class_rows": (1000, 999, 0)}, "it was compared with fp32 on 1,999 rows, and 2,000 are needed"),
        ({"rows": 2000, "class_rows": (1000, 1000, 0)}, None),
        ({"log_loss_int8": 0.2019}, None),
        ({"log_loss_int8": 0.2021}, "its log-loss is 0.2021 beside 0.2 in fp32, and may rise by 1% at most"),
        ({"log_loss_fp32": 0.184, "log_loss_int8": 0.464}, "its log-loss is 0.464 beside 0.184 in fp32, and may rise"),
        ({"log_loss_fp32": 0.0, "log_loss_int8": 0.1}, "its log-loss is 0.1 beside 0 in fp32, and may rise by 1% at"),
        ({"log_loss_int8": 0.0}, None),
        ({"labels_changed": 9}, None),
        ({"labels_changed": 10}, "it changes 0.33% of the labels, and may change 0.3% at most"),
        (
            {"labels_changed": 4, "class_lost": (2, 1, 1), "class_won": (0, 0, 0)},
            "its accuracy is 0.13% lower, and may be 0.1% lower at most",
        ),
        # a small loss in a large class is not by chance; in a small class the loss itself is large
        (
            {"rows": 10_000, "class_rows": (4000, 3000, 3000), "labels_changed": 16}
            | {"class_lost": (9, 0, 0), "class_won": (0, 3, 4)},
            "the recall of 'ape' falls by 0.22% (9 rows lost, 0 won)",
        ),
        ({"labels_changed": 8, "class_lost": (5, 0, 0), "class_won": (0, 3, 0)}, None),
        (
            {"class_rows": (1500, 1450, 50), "class_lost": (0, 0, 1), "class_won": (0, 1, 0)},
            "the recall of 'cat' falls by 2.00% (1 rows lost, 0 won)",
        ),
        ({"class_rows": (1500, 1400, 100), "class_lost": (0, 0, 1), "class_won": (0, 1, 0)}, None),
    ],
)
def test_the_first_limit_that_is_exceeded_is_the_reason(changed: dict[str, object], fault: str | None) -> None:
    found = replace(EVIDENCE, **changed)  # type: ignore[arg-type]
    assert found.is_consistent(3)
    reason = found.fault(LABELS)
    assert (reason is None) == (fault is None)
    assert reason is None or reason.startswith(str(fault))


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": 0, "class_rows": (0, 0, 0)},
        {"rows": 3001},
        {"rows": 3000.0},
        {"rows": -3000, "class_rows": (-1000, -1000, -1000)},
        {"rows": 3 * 10**6, "class_rows": (10**6, 10**6, 10**6)},
        {"class_rows": (1500, 1500)},
        {"class_lost": (1001, 0, 0), "labels_changed": 1002},
        {"class_lost": (1, 1, 1)},
        {"class_lost": ("1", 0, 0)},
        {"class_won": (0, True, 0)},
        {"labels_changed": 3001},
        {"log_loss_fp32": math.nan},
        {"log_loss_int8": -1.0},
        {"max_probability_change": math.inf},
    ],
)
def test_inconsistent_counts(changed: dict[str, object]) -> None:
    assert not replace(EVIDENCE, **changed).is_consistent(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"ece_fp32": -0.1},
        {"ece_int8": math.nan},
        {"change_q999": 1.1},
        {"ratio_q999": math.inf},
        {"class_share_fp32": (0.5, 0.5)},
        {"class_share_int8": (0.5, 0.5, 1.5)},
        {"class_loss_fp32": (0.1,)},
        {"class_loss_int8": (0.1, 0.2, math.nan)},
    ],
)
def test_inconsistent_probabilities(changed: dict[str, object]) -> None:
    assert replace(EVIDENCE, probabilities=FIGURES).is_consistent(3)
    assert replace(EVIDENCE, probabilities=FIGURES).fault(LABELS) is None
    figures = replace(FIGURES, **changed)  # type: ignore[arg-type]
    assert not replace(EVIDENCE, probabilities=figures).is_consistent(3)


def test_counts_of_another_number_of_classes() -> None:
    assert not EVIDENCE.is_consistent(2)
    assert not EVIDENCE.is_consistent(4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_scipys(lost: int, won: int) -> None:
    expected = stats.binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1.0
    assert int8._sign_test(lost, won) == pytest.approx(expected, rel=1e-9)


def test_the_largest_comparison_is_decided_at_once() -> None:
    rows = int8.MAX_ROWS
    lost = int(rows * int8.MAX_LABELS_CHANGED) // 2
    found = Int8(rows, 0.2, 0.2, 2 * lost, 0.1, (rows // 2, rows // 2), (lost, 0), (0, lost))
    assert found.is_consistent(2)
    assert found.fault(("a", "b")) is not None


def test_chance_is_rarely_rejected_and_a_loss_nearly_always() -> None:
    """Ten classes of 1,000 rows. 1.5 per thousand change either way by chance; or one class loses half a point more."""
    random = np.random.default_rng(0)
    labels = tuple("0123456789")

    def rejected_share(extra: float) -> float:
        rejected = 0
        for _ in range(400):
            lost, won = (random.binomial(1000, 0.00075, 10) for _ in range(2))
            lost[3] += random.binomial(1000, extra)
            won[5] += max(int(lost.sum() - won.sum()) - 10, 0)  # so that overall accuracy is not a reason
            counts = (tuple(map(int, lost)), tuple(map(int, won)))
            found = Int8(10_000, 0.2, 0.2, sum(map(sum, counts)), 0.1, (1000,) * 10, *counts)
            rejected += found.fault(labels) is not None
        return rejected / 400

    assert rejected_share(0.0) < 0.05
    assert rejected_share(0.015) > 0.9
