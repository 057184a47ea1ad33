"""Drift: shifted rows raise the index and others do not, over a window that slides with the clock."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from service.inference.bins import Bins
from service.inference.drift import Drift, watch
from service.inference.session import Outputs
from service.manifest import Manifest
from service.metrics import Metrics
from service.metrics.drift import DriftMetrics
from tests.service.drifting import TABLE_REFERENCE, manifest
from tests.service.published import TABLE, values_of

WINDOW_S = 600.0


class Clock:
    """Gives the time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def drift(clock: Clock) -> Drift:
    bins = Bins(manifest(), TABLE_REFERENCE, 50)
    return Drift(bins, len(TABLE), window_s=WINDOW_S, clock=clock, chance=np.random.default_rng(0).random)


def serve(drift: Drift, rows: NDArray[np.float32], batch: int = 32) -> None:
    """Rows in batches of one array, which each run writes over, as the batcher does."""
    array = np.empty((batch, rows.shape[1]), rows.dtype)
    for first in range(0, len(rows), batch):
        part = rows[first : first + batch]
        array[: len(part)] = part
        drift.observe(array[: len(part)], Outputs(None, np.arange(len(part)) % 4 % 3))
        array[:] = np.nan


def figures(drift: Drift) -> dict[tuple[str, str], float]:
    return {(kind, name): value for kind, name, value in drift.figures(drift.totals()).each}


def rows_of(drift: Drift) -> float:
    return drift.figures(drift.totals()).rows


def test_rows_like_those_of_training_do_not_drift(drift: Drift) -> None:
    serve(drift, values_of(TABLE, 1000, 1))
    assert rows_of(drift) == 1000
    assert {name for kind, name in figures(drift) if kind == "feature"} == {feature.name for feature in TABLE}
    assert max(value for (kind, _), value in figures(drift).items() if kind in {"feature", "prediction"}) < 0.05


def test_the_feature_that_shifts_is_the_one_that_drifts(drift: Drift) -> None:
    rows = values_of(TABLE, 1000, 1)
    rows[:, 1] += 3
    serve(drift, rows)
    found = figures(drift)
    assert found["feature", "height"] > 2
    assert max(value for (kind, name), value in found.items() if kind == "feature" and name != "height") < 0.05


def test_missing_and_unknown_values_are_shares_of_the_rows(drift: Drift) -> None:
    rows = values_of(TABLE, 1000, 1)
    rows[:600, 0] = np.nan
    rows[600:, 0] = 0
    rows[:, 4] = np.arange(1000) % 2  # cook or nurse
    rows[:100, 4] = 2  # something else
    serve(drift, rows)
    found = figures(drift)
    assert found["missing", "age"] == 0.6
    assert found["unknown", "job"] == 0.1
    assert found["feature", "age"] > 0.2  # that values are missing is drift, too
    assert ("missing", "height") not in found
    assert ("unknown", "country") not in found


def test_batches_of_any_size_and_single_rows_are_counted_alike(clock: Clock) -> None:
    rows = values_of(TABLE, 700, 3)
    totals = []
    for batch in (1, 7, 700):
        each = Drift(Bins(manifest(), TABLE_REFERENCE, 50), len(TABLE), window_s=WINDOW_S, clock=clock)
        for index in range(0, 700, 7):  # a pace at which every row is counted
            clock.now_s += 0.1
            if batch < 700:
                for part in np.split(rows[index : index + 7], 7 // batch):
                    each.observe(part, Outputs(None, np.zeros(len(part), np.int64)))
        if batch == 700:
            each.observe(rows, Outputs(None, np.zeros(700, np.int64)))
        totals.append(each.totals())
    assert np.array_equal(totals[0], totals[1])
    assert np.array_equal(totals[0], totals[2])


def test_rows_leave_the_window_slot_by_slot(drift: Drift, clock: Clock) -> None:
    began_s = clock.now_s
    for _ in range(30):
        serve(drift, values_of(TABLE, 100, 1))
        clock.now_s += WINDOW_S / 30
    assert rows_of(drift) == 3000
    seen = []
    while clock.now_s < began_s + 2.2 * WINDOW_S:
        seen.append(rows_of(drift))
        clock.now_s += WINDOW_S / 60
    assert seen == sorted(seen, reverse=True)
    assert set(np.diff(seen)) == {0, -100}
    assert seen[-1] == 0
    assert figures(drift) == {}


def test_a_row_counts_for_the_window_and_at_most_one_slot_more(drift: Drift, clock: Clock) -> None:
    serve(drift, values_of(TABLE, 300, 1))
    clock.now_s += WINDOW_S * 0.999
    assert rows_of(drift) == 300
    clock.now_s += WINDOW_S * 0.035
    assert rows_of(drift) == 0


def test_rows_before_a_long_pause_are_not_counted_after_it(drift: Drift, clock: Clock) -> None:
    serve(drift, values_of(TABLE, 10, 1))  # fewer than a buffer holds
    clock.now_s += 100 * WINDOW_S
    serve(drift, values_of(TABLE, 20, 2))
    assert rows_of(drift) == 20


def test_what_drifted_an_hour_ago_is_forgotten(drift: Drift, clock: Clock) -> None:
    shifted = values_of(TABLE, 1000, 1)
    shifted[:, 1] += 3
    serve(drift, shifted)
    assert figures(drift)["feature", "height"] > 2
    clock.now_s += 1.1 * WINDOW_S
    serve(drift, values_of(TABLE, 1000, 2))
    assert figures(drift)["feature", "height"] < 0.05


def test_at_high_load_a_sample_gives_the_same_figures(drift: Drift, clock: Clock) -> None:
    rows = values_of(TABLE, 320, 1)
    rows[:, 1] += 1
    for index in range(3000):
        clock.now_s += 32 / 50_000
        first = index % 10 * 32
        drift.observe(rows[first : first + 32], Outputs(None, np.arange(32) % 4 % 3))
    sampled = figures(drift)
    all_rows = Bins(manifest(), TABLE_REFERENCE, 50)
    counts = all_rows.count(rows[:, all_rows.columns], np.arange(320) % 4 % 3).astype(np.float64)
    exact = {(kind, name): value for kind, name, value in all_rows.figures(counts, 320)}
    assert 500 < rows_of(drift) < 10_000
    assert sampled == pytest.approx(exact, abs=0.05, rel=0.1)


def test_the_totals_of_workers_add_up(clock: Clock) -> None:
    rows, bins = values_of(TABLE, 600, 1), Bins(manifest(), TABLE_REFERENCE, 50)
    one, other, both = (Drift(bins, len(TABLE), window_s=WINDOW_S, clock=clock) for _ in range(3))
    serve(one, rows[:320])
    serve(other, rows[320:])
    serve(both, rows)
    assert np.array_equal(one.totals() + other.totals(), both.totals())


@pytest.fixture
def counted() -> DriftMetrics:
    return Metrics(CollectorRegistry()).drift


def test_a_version_without_a_reference_is_not_watched(counted: DriftMetrics, caplog: pytest.LogCaptureFixture) -> None:
    plain = manifest_without_reference()
    with caplog.at_level("INFO"):
        assert watch(plain, counted, features=50, labels=100, window_s=WINDOW_S, clock=Clock()) is None
    assert caplog.messages == [
        "drift of table version 1 is not watched: its manifest has no reference statistics; publish it again"
    ]


def manifest_without_reference() -> Manifest:
    described = manifest()
    object.__setattr__(described, "reference", None)
    return described


def test_zero_features_switch_it_off(counted: DriftMetrics) -> None:
    assert watch(manifest(), counted, features=0, labels=100, window_s=WINDOW_S, clock=Clock()) is None


def test_a_closed_version_is_not_reported(counted: DriftMetrics, clock: Clock) -> None:
    drift = watch(manifest(), counted, features=50, labels=100, window_s=WINDOW_S, clock=clock)
    assert drift is not None
    serve(drift, values_of(TABLE, 300, 1))
    assert any(family.samples for family in counted.families(counted.counted(), []))
    drift.close()
    assert not any(family.samples for family in counted.families(counted.counted(), []))
