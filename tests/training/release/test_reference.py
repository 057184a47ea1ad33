"""Reference statistics: every training row is counted once, in the bin where the service looks for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.reference import BIN_ROWS, MAX_BINS, MAX_FEATURES, PIXELS, Distribution
from tests.training import small
from tests.training.trained import Trained
from training.data.dataset import Column
from training.recipe.train import outputs_of
from training.release.influence import most_influential
from training.release.reference import histogram, reference

numbers = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1.0, 2.0, float("nan")])


def counted(found: Distribution, values: np.ndarray) -> tuple[int, ...]:
    """The oracle: each value alone, by the rule that `Distribution.edges` states."""
    bins = [0] * (len(found.edges) + 1)
    for value in values[~np.isnan(values)].tolist():
        bins[sum(edge <= value for edge in found.edges)] += 1
    return tuple(bins)


@given(
    arrays(np.float64, st.integers(1, 80), elements=numbers)
    | arrays(np.float32, st.integers(1, 80), elements=st.floats(-1, 1, width=32))
)
def test_a_histogram_counts_every_value(values: np.ndarray) -> None:
    if np.isnan(values).all():
        return
    found = histogram("x", values, len(values))
    assert found.counts == counted(found, values)
    assert found.missing == np.isnan(values).sum()
    assert found.is_consistent(0)
    distinct = len(np.unique(values[~np.isnan(values)]))
    assert len(found.counts) <= max(min(MAX_BINS, max(len(values) // BIN_ROWS, 2), distinct), 3)


def test_many_values_fall_into_deciles() -> None:
    found = histogram("x", np.random.default_rng(0).normal(size=10_000), 10_000)
    assert found.counts == (1000,) * 10


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    values = np.concatenate([np.zeros(700), np.random.default_rng(0).uniform(1, 2, 300)])
    found = histogram("x", values, len(values))
    assert found.counts == (700, 100, 100, 100)
    assert 0 < found.edges[0] < 1


def test_few_values_have_a_bin_each_with_edges_halfway() -> None:
    found = histogram("x", np.repeat(np.array([1.0, 2.0, 5.0]), 100), 300)
    assert (found.edges, found.counts) == ((1.5, 3.5), (100, 100, 100))


def test_a_column_of_one_value_has_room_on_both_sides() -> None:
    found = histogram("x", np.full(100, 7.0), 100)
    assert found.counts == (0, 100, 0)
    assert counted(found, np.array([6.9, 7.0, 7.1])) == (1, 1, 1)


def test_neighbouring_numbers_are_told_apart() -> None:
    low = np.float64(1)
    found = histogram("x", np.repeat([low, np.nextafter(low, 2)], 50), 100)
    assert found.counts == (50, 50)


def test_codes_booleans_and_missing_values_are_counted() -> None:
    nan = np.nan
    inputs = np.array([[0, 1, nan], [2, 0, 1], [nan, 1, 2], [2, 1, 3], [9, 9, 9]], np.float32)
    columns = (
        Column("job", "categorical", True, ("cook", "nurse"), True),
        Column("member", "boolean"),
        Column("age", missing=True),
    )
    dataset = small.classes(inputs, [0, 1, 0, 1, 0], columns=columns)
    found = reference(dataset, np.arange(4), np.array([1, 1, 1]), range(3))
    assert (found.rows, found.prediction_rows) == (4, 3)
    assert found.features[0] == Distribution("job", (1, 0, 2), missing=1)
    assert found.features[1] == Distribution("member", (1, 3))
    assert (sum(found.features[2].counts), found.features[2].missing) == (3, 1)
    assert found.predictions == (Distribution("animal", (0, 3)),)


def test_a_wide_table_keeps_a_bounded_number_of_columns() -> None:
    inputs = small.noise(100, MAX_FEATURES + 5)
    inputs[:, 3] = np.nan  # has nothing to count
    order = [*reversed(range(MAX_FEATURES + 5))]
    found = reference(small.classes(inputs, [0, 1] * 50), np.arange(100), np.zeros(9, np.int64), order)
    names = [f"f{index}" for index in order if index != 3][:MAX_FEATURES]
    assert [each.name for each in found.features] == names


def test_images_have_one_histogram_of_all_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1200, 6), np.uint8)
    train = np.arange(0, 1200, 2)
    found = reference(small.classes(images, [0, 1] * 600, shape=(2, 3)), train, np.zeros(5, np.int64), ())
    (pixels,) = found.features
    assert pixels.name == PIXELS
    assert pixels.counts == counted(pixels, images[train].ravel().astype(np.float64))
    assert len(pixels.counts) == 10


def test_a_regression_has_a_histogram_of_each_target() -> None:
    dataset = small.values(small.noise(50, 2), small.noise(50, 2), ("width", "height"))
    predictions = np.stack([np.arange(400.0), -np.arange(400.0)], axis=1)
    found = reference(dataset, np.arange(50), predictions, [1, 0])
    assert [(each.name, each.counts) for each in found.predictions] == [("width", (40,) * 10), ("height", (40,) * 10)]


def test_the_reference_is_published(digits: Trained) -> None:
    found = digits.published.manifest.reference
    order = most_influential(lambda inputs: outputs_of(digits.network, inputs), digits.test_inputs)
    assert found == reference(digits.dataset, digits.parts.train, digits.outputs[-1], order)
    assert (found.rows, found.prediction_rows) == (len(digits.parts.train), len(digits.parts.test))
    assert len(found.features) == MAX_FEATURES  # of 64


@pytest.mark.parametrize("rows", [10, 100])
def test_rows_outside_training_are_not_counted(rows: int) -> None:
    dataset = small.classes(small.noise(200, 1), [0, 1] * 100)
    changed = dataset.inputs.copy()
    changed[rows:] = 1e9
    train = np.arange(rows)
    predictions = np.zeros(3, np.int64)
    both = [reference(each, train, predictions, [0]) for each in (replace(dataset, inputs=changed), dataset)]
    assert both[0] == both[1]
