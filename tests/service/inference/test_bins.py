"""Bins: counts equal those of plain numpy, and the index is 0 without drift, large with it, and right in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.inference.bins import MAX_CODE_BINS, MIN_ROWS, Bins, population_stability_index
from service.manifest import Feature, Manifest
from service.metrics.drift import Figure
from service.reference import PIXELS, Distribution, Reference
from tests.service.drifting import TABLE_REFERENCE, manifest
from tests.service.published import TABLE, values_of


def bins_of(described: Manifest, features: int = 50) -> Bins:
    assert described.reference is not None
    return Bins(described, described.reference, features)


def figures(bins: Bins, rows: NDArray[Any], predictions: NDArray[Any]) -> dict[tuple[str, str], float]:
    counts = bins.count(rows if bins.columns is None else rows[:, bins.columns], predictions)
    return {(kind, name): value for kind, name, value in bins.figures(counts.astype(np.float64), len(rows))}


def plain_index(expected: NDArray[Any], counts: NDArray[Any]) -> float:
    total, expected_total = counts.sum() + 0.5 * len(counts), expected.sum() + 0.5 * len(counts)
    index = 0.0
    for count, wanted in zip(counts.tolist(), expected.tolist(), strict=True):
        p, q = (count + 0.5) / total, (wanted + 0.5) / expected_total
        index += (p - q) * float(np.log(p / q))
    return index


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=20))
def test_the_index_follows_its_formula(pairs: list[tuple[int, int]]) -> None:
    expected, counts = np.array(pairs).T
    found = population_stability_index(expected, counts)
    assert found == pytest.approx(plain_index(expected, counts))
    assert found >= 0
    assert population_stability_index(7 * expected, 7 * expected) == 0


def test_without_drift_the_index_is_as_large_as_the_number_of_rows_predicts() -> None:
    random = np.random.default_rng(0)
    n, m, bins = 500, 2000, 10
    found = [
        population_stability_index(random.multinomial(m, [0.1] * bins), random.multinomial(n, [0.1] * bins))
        for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx((bins - 1) * (1 / n + 1 / m), rel=0.05)


def share_counts(feature: Feature, reference: Distribution, column: NDArray[Any]) -> NDArray[Any]:
    """The oracle: counts of a column, of missing values last."""
    missing, known = np.isnan(column), column[~np.isnan(column)].astype(np.float64)
    if reference.edges:
        counts = [((known >= low) & (known < high)).sum() for low, high in ranges(reference)]
    else:
        counts = [(known == code).sum() for code in range(len(reference.counts))]
    return np.array(counts + [missing.sum()] * feature.missing)


def ranges(reference: Distribution) -> list[tuple[float, float]]:
    return list(zip((-np.inf, *reference.edges), (*reference.edges, np.inf), strict=True))


@given(st.integers(250, 500), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_figures_of_a_table_equal_those_of_plain_numpy(rows: int, seed: int, dtype: type) -> None:
    values = values_of(TABLE, rows, seed).astype(dtype)
    predictions = np.random.default_rng(seed).integers(0, 3, rows)
    found = figures(bins_of(manifest()), values, predictions)
    by_name = {feature.name: (index, feature) for index, feature in enumerate(TABLE)}
    expected = {}
    for reference in TABLE_REFERENCE.features:
        index, feature = by_name[reference.name]
        counts = share_counts(feature, reference, values[:, index])
        wanted = np.array([*reference.counts, *[reference.missing] * feature.missing])
        expected["feature", feature.name] = plain_index(wanted, counts)
        if feature.missing:
            expected["missing", feature.name] = np.isnan(values[:, index]).mean()
        if feature.other:
            expected["unknown", feature.name] = (values[:, index] == len(feature.categories)).mean()
    expected["prediction", "animal"] = plain_index(
        np.array(TABLE_REFERENCE.predictions[0].counts), np.bincount(predictions, minlength=3)
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_all_pixels_of_images_are_one_feature(dtype: type) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 6)).astype(dtype)
    pixels = Distribution(PIXELS, (900, 500, 400), (0.5, 128.0))
    described = replace(manifest(), input_dtype="uint8", reference=replace(TABLE_REFERENCE, features=(pixels,)))
    found = figures(bins_of(described), images, np.zeros(300, np.int64))
    counts = np.array([(images == 0).sum(), ((images > 0) & (images < 128)).sum(), (images >= 128).sum()])
    assert found["feature", PIXELS] == pytest.approx(plain_index(np.array(pixels.counts), counts))


def test_each_target_of_a_regression_has_its_own_index() -> None:
    targets = (Distribution("width", (50, 50), (0.0,)), Distribution("height", (100, 100, 100), (-1.0, 1.0)))
    reference = replace(TABLE_REFERENCE, predictions=targets)
    described = replace(manifest(), task="regression", classes=(), targets=("width", "height"), reference=reference)
    predictions = np.stack([np.full(300, 2.0), np.repeat([-2.0, 0.0, 2.0], 100)], axis=1).astype(np.float32)
    found = figures(bins_of(described), values_of(TABLE, 300, 0), predictions)
    assert found["prediction", "height"] == 0
    assert found["prediction", "width"] == pytest.approx(plain_index(np.array([50, 50]), np.array([0, 300])))


def test_the_first_features_of_the_reference_are_watched() -> None:
    found = figures(bins_of(manifest(), features=2), values_of(TABLE, 300, 0), np.zeros(300, np.int64))
    assert [name for kind, name in found if kind == "feature"] == [each.name for each in TABLE_REFERENCE.features[:2]]


def test_figures_that_need_more_rows_are_absent() -> None:
    bins = bins_of(manifest())
    counts = np.ones(bins.size)
    assert [*bins.figures(counts, MIN_ROWS - 1)] == []
    some = {name for kind, name, _ in bins.figures(counts, MIN_ROWS) if kind == "feature"}
    # age has 6 bins, and needs 250 rows
    assert some == {"height", "member", "country", "job"}
    assert "age" in {name for _, name, _ in bins.figures(counts, 250)}


def test_the_rarest_of_many_categories_share_a_bin_and_unknown_ones_have_their_own() -> None:
    names = tuple(f"c{index}" for index in range(40))
    feature = Feature("city", "categorical", False, names, True, 0, 0, 0, 0)
    counts = tuple(range(100, 140))
    reference = Reference(10_000, (Distribution("city", (*counts, 5)),), 10_000, TABLE_REFERENCE.predictions)
    bins = bins_of(replace(manifest(), features=(feature,), reference=reference))
    codes = np.random.default_rng(0).integers(0, 41, 5000)
    found = figures(bins, codes[:, None].astype(np.float32), np.zeros(5000, np.int64))
    served = np.bincount(codes, minlength=41)
    few = 40 - (MAX_CODE_BINS - 1)  # the counts ascend

    def grouped(each: NDArray[Any]) -> NDArray[Any]:
        return np.array([each[:few].sum(), *each[few:]])

    assert found["feature", "city"] == pytest.approx(plain_index(grouped(np.array([*counts, 5])), grouped(served)))
    assert found["unknown", "city"] == served[40] / 5000


def test_few_training_rows_allow_few_bins() -> None:
    feature = replace(TABLE[3], missing=False)
    reference = Reference(30, (Distribution("country", (10, 10, 10)),), 30, TABLE_REFERENCE.predictions)
    bins = bins_of(replace(manifest(), features=(feature,), reference=reference))
    found = figures(bins, np.repeat([0, 1, 2], 100)[:, None].astype(np.float32), np.zeros(300, np.int64))
    assert found["feature", "country"] == pytest.approx(0, abs=0.001)
    assert bins.size == 2 + 2  # two bins of the feature, and two of the three labels


def test_long_names_are_cut_and_stay_distinct() -> None:
    features = tuple(replace(TABLE[1], name="x" * 200 + str(index)) for index in range(2))
    distributions = tuple(Distribution(each.name, (100, 100), (0.0,)) for each in features)
    reference = replace(TABLE_REFERENCE, features=distributions)
    bins = bins_of(replace(manifest(), features=features, reference=reference))
    names = {figure.name for figure in bins.figures(np.ones(bins.size), 1000) if figure.kind == "feature"}
    assert len(names) == 2
    assert max(map(len, names)) <= 110


def test_a_constant_feature_drifts_when_it_changes() -> None:
    reference = replace(
        TABLE_REFERENCE, features=(Distribution("height", (0, 500, 0), (7.0, float(np.nextafter(7, 8)))),)
    )
    bins = bins_of(replace(manifest(), reference=reference))
    rows = np.full((300, 5), 7.0)
    assert figures(bins, rows, np.zeros(300, np.int64))["feature", "height"] < 0.02
    assert figures(bins, rows + 0.1, np.zeros(300, np.int64))["feature", "height"] > 5


def test_a_figure_has_a_kind_a_name_and_a_value() -> None:
    assert Figure("missing", "age", 0.5) == ("missing", "age", 0.5)
