"""The last sampled request in each bucket is its exemplar, of all workers the newest one."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from service import metrics
from service.heartbeats import Heartbeats
from service.metrics import Metrics
from service.metrics.exemplars import Exemplar, Exemplars, latest
from service.metrics.text_formats import Format
from service.requests import RequestRecord
from tests.service.forked import in_a_child
from tests.service.metrics.test_exposition import record


class Wall:
    """Gives the time that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_last_value_in_a_bucket_is_kept() -> None:
    exemplars = Exemplars("h", (0.1, 1.0), "route", wall_s=Wall())
    for value, trace_id in [(0.05, "a"), (0.1, "b"), (0.2, "c"), (5.0, "d")]:
        exemplars.note(["/predict"], value, trace_id)
    assert exemplars.by_series() == {
        'h_bucket{le="0.1",route="/predict"}': Exemplar("b", 0.1, 1000),
        'h_bucket{le="1.0",route="/predict"}': Exemplar("c", 0.2, 1000),
        'h_bucket{le="+Inf",route="/predict"}': Exemplar("d", 5.0, 1000),
    }


def test_old_ones_are_left_out() -> None:
    wall = Wall()
    exemplars = Exemplars("h", (0.1,), wall_s=wall)
    exemplars.note([], 0.05, "a")
    wall.now_s += 3600
    exemplars.note([], 0.5, "b")
    assert len(exemplars.by_series()) == 2
    wall.now_s += 1
    assert exemplars.by_series() == {'h_bucket{le="+Inf"}': Exemplar("b", 0.5, 4600)}


def test_of_several_workers_the_newest_counts() -> None:
    old, new, other = (Exemplar(each, 1.0, at_s) for each, at_s in [("a", 1), ("b", 2), ("c", 0)])
    assert latest([{"x": old}, {"x": new, "y": other}, {"x": old}]) == {"x": new, "y": other}


def traced(duration_s: float, trace_id: str, *, sampled: bool) -> RequestRecord:
    made = record("/predict", 200, duration_s, rows=1)
    made.trace_id, made.sampled = trace_id, sampled
    return made


def exemplars_of(counted: Metrics) -> dict[str, str]:
    """The trace of each bucket that has one, by its bound."""
    families = text_string_to_metric_families(counted.exposition(Format.OPENMETRICS).decode())
    return {
        sample.labels["le"]: sample.exemplar.labels["trace_id"]
        for family in families
        for sample in family.samples
        if sample.exemplar
    }


def test_sampled_requests_are_exemplars_of_the_duration() -> None:
    counted = Metrics(CollectorRegistry())
    counted.count(
        [traced(0.003, "aa", sampled=True), traced(0.2, "bb", sampled=False), traced(0.004, "cc", sampled=True)]
    )
    assert exemplars_of(counted) == {"0.005": "cc"}


def share_between_two(folder: Path) -> None:
    first, second = (metrics.worker(index, folder, Heartbeats(2)) for index in range(2))
    second.count([traced(0.003, "aa", sampled=True), traced(0.2, "bb", sampled=True)])
    second.share()
    first.count([traced(0.003, "cc", sampled=True)])
    assert exemplars_of(first) == {"0.005": "cc", "0.25": "bb"}
    assert exemplars_of(second) == {"0.005": "aa", "0.25": "bb"}  # the first has not shared its own


def test_any_worker_has_the_exemplars_that_others_shared(tmp_path: Path) -> None:
    in_a_child(share_between_two, tmp_path)


@pytest.mark.parametrize("form", Format)
def test_without_traces_there_are_none(form: Format) -> None:
    counted = Metrics(CollectorRegistry())
    counted.count([record("/predict", 200, 0.003, rows=1)])
    assert b"trace_id" not in counted.exposition(form)
