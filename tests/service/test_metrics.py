"""Many at once are counted as one by one would be, and whoever scrapes sees all of it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from service import metrics
from service.journal import Record
from service.metrics import Metrics

BOUNDS = (0.001, 0.01, 0.1)
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.0, 0.05, 0.95]], np.float32)


def samples(counted: Metrics) -> dict[str, float]:
    """Every sample by its name and its labels' values, with spaces between."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(counted.exposition().decode())
        for sample in family.samples
        if not sample.name.startswith(("process_", "python_"))
    }


def finished(status: int = 200, rows: int = 1, duration_s: float = 0.002) -> Record:
    record = Record("POST", "/predict", "id", 0.0)
    record.route, record.status, record.rows, record.duration_s = "/predict", status, rows, duration_s
    return record


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(0, 1), st.sampled_from(BOUNDS)), min_size=1))
def test_many_values_are_observed_as_one_by_one(values: list[float]) -> None:
    together, single = (Histogram("h", "h", buckets=BOUNDS, registry=CollectorRegistry()) for _ in range(2))
    metrics._observe(together, values)
    for value in values:
        single.observe(value)
    (of_together,), (of_single,) = together.collect(), single.collect()
    told = [[sample for sample in of.samples if sample.name != "h_created"] for of in (of_together, of_single)]
    for found, expected in zip(*told, strict=True):
        assert (found.name, found.labels) == (expected.name, expected.labels)
        assert math.isclose(found.value, expected.value, rel_tol=1e-12)


def test_requests_are_counted_by_route_and_status_and_only_predictions_by_rows() -> None:
    counted = metrics.alone()
    refused = finished(422, rows=0)
    refused.problem = "invalid-input"
    counted.requests([finished(rows=1), finished(rows=32), refused])
    found = samples(counted)
    assert found["mlp_requests_total /predict 200"] == 2
    assert found["mlp_requests_total /predict 422"] == 1
    assert found["mlp_rejections_total invalid-input"] == 1
    assert found["mlp_request_duration_seconds_count /predict"] == 3
    assert (found["mlp_request_rows_count"], found["mlp_request_rows_sum"]) == (2, 33)
    assert found["mlp_stage_duration_seconds_count decode"] == 2


def test_runs_are_counted_together_as_one_by_one() -> None:
    together, single = metrics.alone(), metrics.alone()
    for counted in (together, single):
        ran = counted.batches("small", 1, ("ape", "bee", "cat"))
        for rows in ((0, 2), (2, 3)):
            part = PROBABILITIES[slice(*rows)]
            ran(part, part.argmax(axis=1))
            if counted is single:
                counted.requests([finished()])
    together.requests([finished(), finished()])
    assert samples(together) == samples(single)
    assert samples(together)["mlp_predictions_total cat small 1"] == 2


def test_a_scrape_sees_runs_whose_requests_are_not_told_yet() -> None:
    counted = metrics.alone()
    counted.batches("small", 1, ("ape", "bee", "cat"))(PROBABILITIES, PROBABILITIES.argmax(axis=1))
    counted.regressions("prices", 2, ("low", "high"))(None, np.array([[1, 2], [3, -5]], np.float32))
    found = samples(counted)
    assert found["mlp_batch_rows_sum small"] == 3
    assert found["mlp_prediction_confidence_count small 1"] == 3
    assert (found["mlp_prediction_value_count prices low 2"], found["mlp_prediction_value_sum prices low 2"]) == (2, 4)
    assert found["mlp_prediction_value_sum prices high 2"] == -3
