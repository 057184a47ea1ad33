"""A model of many classes has a bounded number of series, and every row is counted once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from service.inference.bins import Bins
from service.inference.drift import watch
from service.inference.metric_labels import OTHER, metric_labels
from service.manifest import Manifest
from service.metrics import Metrics
from service.reference import Distribution, Reference
from tests.service.drifting import TABLE_REFERENCE, manifest
from tests.service.running import parsed

PLAIN = manifest()


def of_classes(counts: tuple[int, ...] | None, *labels: str) -> Manifest:
    """A manifest of classes that were predicted so often when it was trained."""
    predictions = (Distribution("animal", counts or ()),)
    reference = None if counts is None else replace(TABLE_REFERENCE, predictions=predictions)
    described = replace(PLAIN, classes=labels, reference=reference)
    object.__setattr__(described, "reference", reference)
    return described


def test_the_most_frequent_labels_keep_theirs() -> None:
    labels = metric_labels(of_classes((1, 5, 0, 5, 9), *"abcde"), 3)
    assert labels == [OTHER, "b", OTHER, "d", "e"]


def test_without_a_reference_the_first_labels_keep_theirs() -> None:
    assert metric_labels(of_classes(None, *"abcd"), 3) == ["a", "b", "c", OTHER]


@pytest.mark.parametrize("most", [4, 5, 100])
def test_a_few_labels_all_keep_theirs(most: int) -> None:
    assert metric_labels(of_classes((0, 1, 2, 3), *"abcd"), most) == [*"abcd"]


@given(st.lists(st.integers(0, 49), max_size=200), st.integers(1, 60))
def test_each_row_is_counted_once(classes: list[int], most: int) -> None:
    counts = tuple(range(1, 51))
    described = of_classes(counts, *(f"label {index}" for index in range(50)))
    labels = metric_labels(described, most)
    counted = Metrics(CollectorRegistry())
    ran = counted.models.batches("table", 1, labels)
    for predicted in np.array_split(np.array(classes, np.int64), 3):
        if len(predicted):
            ran(np.full((len(predicted), 50), 0.02, np.float32), predicted)
    found = parsed(counted.exposition().decode())
    series = {name: value for name, value in found.items() if name.startswith("mlp_predictions_total")}
    assert len(series) == min(most, 50) + (most < 50)
    assert sum(series.values()) == len(classes)
    for index in range(50 - min(most, 50), 50):
        assert series[f"mlp_predictions_total label {index} table 1"] == classes.count(index)


def test_shares_of_the_reference_have_the_same_labels() -> None:
    counted = Metrics(CollectorRegistry())
    described = of_classes((10, 50, 0, 40), *"abcd")
    assert watch(described, counted.drift, features=5, labels=2, window_s=60.0, clock=lambda: 0.0) is not None
    found = parsed(counted.exposition().decode())
    shares = {name: value for name, value in found.items() if "reference_ratio" in name}
    assert shares == {
        "mlp_prediction_reference_ratio (other) table 1": pytest.approx(0.1),
        "mlp_prediction_reference_ratio b table 1": 0.5,
        "mlp_prediction_reference_ratio d table 1": 0.4,
    }


def test_a_class_of_that_name_is_counted_with_the_others() -> None:
    labels = metric_labels(of_classes((9, 8, 1), OTHER, "b", "c"), 2)
    assert labels == [OTHER, "b", OTHER]


def test_of_many_targets_the_first_ones_have_metrics() -> None:
    counted = Metrics(CollectorRegistry())
    counted.models.regressions("sizes", 1, ["a", "b"])(None, np.array([[1, 2, 4], [1, 2, 4]], np.float32))
    found = parsed(counted.exposition().decode())
    sums = {name: value for name, value in found.items() if name.startswith("mlp_prediction_value_sum")}
    assert sums == {"mlp_prediction_value_sum sizes a 1": 2, "mlp_prediction_value_sum sizes b 1": 4}


def test_of_many_targets_the_first_ones_are_watched_for_drift() -> None:
    edges = Distribution("x", (5, 5), (0.0,))
    predictions = tuple(replace(edges, name=name) for name in "abc")
    described = replace(PLAIN, classes=(), targets=("a", "b", "c"), task="regression")
    reference = Reference(4000, (TABLE_REFERENCE.features[0],), 4000, predictions)
    bins = Bins(described, reference, 5, targets=2)
    rows = np.zeros((300, 5), np.float32)[:, bins.columns]
    counts = bins.count(rows, np.array([[-1, 1, 1]] * 300, np.float32)).astype(np.float64)
    assert [figure.name for figure in bins.figures(counts, 300.0) if figure.kind == "prediction"] == ["a", "b"]
