"""The totals of each version's requests."""

from __future__ import annotations

import pytest

from service.requests import RequestRecord
from service.statistics import InferenceStatistics, Totals


def record(model: str, version: int, status: int, rows: int = 1) -> RequestRecord:
    found = RequestRecord("POST", "/", "id", 0.0)
    found.model, found.version, found.status, found.rows = model, version, status, rows
    found.duration_s, found.queue_s, found.decode_s, found.inference_s, found.encode_s = 16.0, 1.0, 2.0, 4.0, 8.0
    return found


def test_requests_are_added_up_by_model_version_and_outcome() -> None:
    statistics = InferenceStatistics(lambda: 1000.0)
    statistics([record("a", 1, 200, 3), record("a", 1, 200), record("a", 2, 200), record("a", 1, 504)])
    statistics([record("a", 1, 200, 5), record("", 0, 404)])
    assert statistics.of("a", 1) == Totals(3, 1, 16.0, 9, 48.0, 3.0, 6.0, 12.0, 24.0, 1000.0)
    assert statistics.of("a", 2) == Totals(1, 0, 0.0, 1, 16.0, 1.0, 2.0, 4.0, 8.0, 1000.0)
    assert statistics.of("b", 1) == Totals()


@pytest.mark.parametrize("records", [[], [record("", 0, 404)]])
def test_requests_without_a_model_are_left_out(records: list[RequestRecord]) -> None:
    statistics = InferenceStatistics(lambda: 1000.0)
    statistics(records)
    assert statistics.of("", 0) == Totals()
