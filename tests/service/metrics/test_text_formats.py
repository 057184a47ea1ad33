"""Both formats say what prometheus_client's own writers say, and OpenMetrics is read by its strict parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from service import metrics
from service.heartbeats import Heartbeats
from service.metrics import Metrics
from service.metrics.exemplars import Exemplar
from service.metrics.families import Family, of_registry
from service.metrics.text_formats import Format, render
from tests.service.forked import in_a_child
from tests.service.metrics.test_exposition import record

ODD = 'a "b"\n\\c'


def fill(counted: Metrics) -> None:
    counted.count([record("/predict", 200, 0.03, rows=2, model=ODD), record("/predict", 422, 9e9, problem="x")])
    counted.queues.set({(ODD, "small"): (3, 0.25)}, 7)
    counted.models.batches("small", 1, (ODD, "bee"))(np.full((2, 2), 0.5, np.float32), np.array([0, 1]))
    counted.models.loaded("small", 1, 1e-7)


def test_they_are_those_of_the_client_library() -> None:
    registry = CollectorRegistry()
    fill(Metrics(registry))
    families = list(of_registry(registry))
    assert render(families, Format.TEXT, {}) == generate_latest(registry)
    ours = [line for line in render(families, Format.OPENMETRICS, {}).decode().splitlines() if "# UNIT" not in line]
    theirs = openmetrics.generate_latest(registry).decode().splitlines()
    assert [line for line in ours if "mlp_prediction_value" not in line] == [
        line for line in theirs if "mlp_prediction_value" not in line
    ]


def expositions(counted: Metrics) -> Iterator[str]:
    fill(counted)
    counted.models.regressions("sizes", 1, ("width",))(None, np.array([[-7.5]], np.float32))
    yield counted.exposition(Format.OPENMETRICS).decode()


def check_strictly(counted: Metrics) -> None:
    """Sums of values below 0 are no sums of OpenMetrics, so that summary is two series of no type there."""
    (text,) = expositions(counted)
    assert text.endswith("\n# EOF\n")
    families = {family.name: family for family in parse_openmetrics(text)}
    assert families["mlp_requests"].type == "counter"
    assert families["mlp_request_duration_seconds"].unit == "seconds"
    assert families["process_resident_memory_bytes"].unit == "bytes"
    assert families["mlp_feature_missing_ratio"].unit == "ratio"
    assert families["mlp_prediction_value_sum"].type == families["mlp_prediction_value_count"].type == "unknown"
    assert families["mlp_prediction_value_sum"].samples[0].value == -7.5
    assert {sample.labels["label"] for sample in families["mlp_predictions"].samples} == {ODD, "bee"}


def test_a_process_alone_gives_valid_openmetrics() -> None:
    check_strictly(metrics.alone())


def test_workers_give_valid_openmetrics(tmp_path: Path) -> None:
    in_a_child(lambda: check_strictly(metrics.worker(0, tmp_path, Heartbeats(1))))


HISTOGRAM = Family(
    "h", "histogram", "H.", ['h_bucket{le="1.0"}', 'h_bucket{le="+Inf"}', "h_count", "h_sum"], [1, 2, 2, 4.0]
)


def test_exemplars_follow_their_buckets_in_openmetrics() -> None:
    exemplars = {'h_bucket{le="+Inf"}': Exemplar("ab" * 16, 3.0, 1700000000.25), "h_bucket": Exemplar("x", 1, 1)}
    assert render([HISTOGRAM], Format.OPENMETRICS, exemplars).decode().splitlines()[2:5] == [
        'h_bucket{le="1.0"} 1.0',
        f'h_bucket{{le="+Inf"}} 2.0 # {{trace_id="{"ab" * 16}"}} 3.0 1700000000.250',
        "h_count 2.0",
    ]
    assert b"trace_id" not in render([HISTOGRAM], Format.TEXT, exemplars)


@pytest.mark.parametrize("form", Format)
def test_each_family_has_one_help_and_one_type(form: Format) -> None:
    text = metrics.alone().exposition(form).decode()
    for word in ("HELP", "TYPE"):
        names = re.findall(rf"^# {word} (\S+)", text, re.MULTILINE)
        assert len(names) == len(set(names)) > 30
