"""Metrics: bulk observations equal single ones, and a scrape after known requests is exact."""

from __future__ import annotations

import json
import re
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, Summary, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE
from prometheus_client.parser import text_string_to_metric_families

from service import metrics
from service.errors import StartError
from service.heartbeats import Heartbeats
from service.metrics.instruments import add_to_summary, observe_all
from service.metrics.text_formats import Format
from service.requests import RequestRecord
from tests.service.forked import in_a_child
from tests.service.published import Network, publish
from tests.service.running import Running, post
from tests.service.trapped import BAD, GOOD, publish_trapped


@given(st.lists(st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0, 7.0]), st.floats(-10, 10)), max_size=50))
def test_bulk_observations_equal_single_ones(values: list[float]) -> None:
    expositions = []
    for together in (True, False):
        registry = CollectorRegistry()
        histogram = Histogram("h", "h", buckets=(0.1, 0.5, 1.0), registry=registry)
        if together:
            observe_all(histogram, np.array(values))
        else:
            for value in values:
                histogram.observe(value)
        expositions.append(generate_latest(registry))
    assert samples(expositions[0]) == pytest.approx(samples(expositions[1]))


@given(st.lists(st.floats(-10, 10), max_size=50))
def test_a_bulk_summary_equals_single_observations(values: list[float]) -> None:
    expositions = []
    for together in (True, False):
        registry = CollectorRegistry()
        summary = Summary("s", "s", registry=registry)
        if together:
            add_to_summary(summary, len(values), sum(values))
        else:
            for value in values:
                summary.observe(value)
        expositions.append(generate_latest(registry))
    assert samples(expositions[0]) == pytest.approx(samples(expositions[1]))


def samples(exposition: bytes) -> dict[str, float]:
    return {
        f"{sample.name} {sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
    }


def record(
    route: str, status: int, duration_s: float, rows: int = 0, problem: str = "", model: str = "small"
) -> RequestRecord:
    made = RequestRecord("POST", "/somewhere", "id", 0.0)
    made.model = model
    made.route, made.status, made.duration_s, made.rows, made.problem = route, status, duration_s, rows, problem
    made.decode_s, made.queue_s, made.inference_s, made.encode_s = (duration_s / part for part in (2, 4, 8, 16))
    return made


def test_finished_requests_are_counted_by_route_status_and_problem() -> None:
    server_metrics = metrics.Metrics(CollectorRegistry())
    server_metrics.count(
        [
            record("/predict", 200, 0.01, rows=1),
            record("/predict", 200, 0.03, rows=100),
            record("/predict", 422, 0.02, problem="invalid-input"),
            record("/predict", 504, 0.5, rows=3, problem="deadline-exceeded"),
            record("/predict", 200, 0.04, rows=7, model="large"),
            record("unmatched", 404, 0.001, problem="not-found", model=""),
            record("/models", 200, 0.002, model=""),
        ]
    )
    found = samples(server_metrics.exposition())
    assert {name: value for name, value in found.items() if name.startswith("mlp_requests_total")} == {
        "mlp_requests_total [('model', 'small'), ('route', '/predict'), ('status', '200')]": 2,
        "mlp_requests_total [('model', 'small'), ('route', '/predict'), ('status', '422')]": 1,
        "mlp_requests_total [('model', 'small'), ('route', '/predict'), ('status', '504')]": 1,
        "mlp_requests_total [('model', 'large'), ('route', '/predict'), ('status', '200')]": 1,
        "mlp_requests_total [('model', ''), ('route', 'unmatched'), ('status', '404')]": 1,
        "mlp_requests_total [('model', ''), ('route', '/models'), ('status', '200')]": 1,
    }
    assert {name: value for name, value in found.items() if name.startswith("mlp_rejections_total")} == {
        "mlp_rejections_total [('model', 'small'), ('reason', 'invalid-input')]": 1,
        "mlp_rejections_total [('model', 'small'), ('reason', 'deadline-exceeded')]": 1,
        "mlp_rejections_total [('model', ''), ('reason', 'not-found')]": 1,
    }
    for model, answers, total_s in (("small", 4, 0.56), ("large", 1, 0.04)):
        labels = f"[('model', '{model}'), ('route', '/predict')]"
        assert found[f"mlp_request_duration_seconds_count {labels}"] == answers
        assert found[f"mlp_request_duration_seconds_sum {labels}"] == pytest.approx(total_s)
    for model, requests, rows in (("small", 2, 101), ("large", 1, 7)):
        labels = f"[('model', '{model}')]"
        assert (found[f"mlp_request_rows_count {labels}"], found[f"mlp_request_rows_sum {labels}"]) == (requests, rows)
        for stage, part in {"decode": 2, "queue": 4, "inference": 8, "encode": 16}.items():
            labels = f"[('model', '{model}'), ('stage', '{stage}')]"
            assert found[f"mlp_stage_duration_seconds_count {labels}"] == requests
            assert found[f"mlp_stage_duration_seconds_sum {labels}"] == pytest.approx(0.04 / part)
    assert "mlp_request_rows_count [('model', '')]" not in found


@given(st.lists(st.tuples(*map(st.sampled_from, ((200, 429), ("", "a", "b"), ("/predict", "/models"), (0, 3))))))
def test_records_counted_together_equal_records_counted_one_by_one(drawn: list[tuple[int, str, str, int]]) -> None:
    records = [
        record(route, status, 0.001 * number, rows, "" if status == 200 else "overloaded", model)
        for number, (status, model, route, rows) in enumerate(drawn)
    ]
    together, one_by_one = (metrics.Metrics(CollectorRegistry()) for _ in range(2))
    if records:
        together.count(records)
    for each in records:
        one_by_one.count([each])
    assert samples(together.exposition()) == pytest.approx(samples(one_by_one.exposition()))


def test_predictions_are_counted_by_label_and_confidence() -> None:
    server_metrics = metrics.Metrics(CollectorRegistry())
    ran = server_metrics.models.batches("small", 3, ("ape", "bee", "cat"))
    ran(np.array([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05]], np.float32), np.array([0, 1]))
    ran(np.array([[0.4, 0.3, 0.3]], np.float32), np.array([0]))
    found = samples(server_metrics.exposition())
    labels = "('model', 'small'), ('version', '3')"
    assert [found[f"mlp_predictions_total [('label', '{label}'), {labels}]"] for label in ("ape", "bee", "cat")] == [
        2,
        1,
        0,
    ]
    assert found["mlp_batch_rows_sum [('model', 'small')]"] == 3
    assert found["mlp_batch_rows_count [('model', 'small')]"] == 2
    assert found[f"mlp_prediction_confidence_sum [{labels}]"] == pytest.approx(2.0)
    assert found[f"mlp_prediction_confidence_bucket [('le', '0.8'), {labels}]"] == 2


def test_predicted_values_are_summed_by_target() -> None:
    server_metrics = metrics.Metrics(CollectorRegistry())
    ran = server_metrics.models.regressions("sizes", 1, ("width", "height"))
    ran(None, np.array([[1.0, -2.0], [3.0, -4.0]], np.float32))
    found = samples(server_metrics.exposition())
    for target, total in (("width", 4), ("height", -6)):
        labels = f"[('model', 'sizes'), ('target', '{target}'), ('version', '1')]"
        assert (found[f"mlp_prediction_value_count {labels}"], found[f"mlp_prediction_value_sum {labels}"]) == (
            2,
            total,
        )


def test_names_follow_the_conventions() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    server_metrics = metrics.alone()
    server_metrics.count(
        [record("/predict", 200, 0.01, rows=1), record("/predict", 422, 0.02, problem="invalid-input")]
    )
    server_metrics.models.loaded("small", 1, 0.5)
    server_metrics.models.batches("small", 1, ("ape", "bee"))
    families = [*text_string_to_metric_families(server_metrics.exposition().decode())]
    ours = [family for family in families if family.name.startswith("mlp_")]
    assert len(ours) >= 12
    for family in ours:
        assert re.fullmatch(r"mlp_[a-z0-9]+(_[a-z0-9]+)*", family.name)
        assert family.documentation.endswith(".")
        assert all(sample.labels.keys() <= LABELS for sample in family.samples), family
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        if "duration" in family.name or "load_seconds" in family.name:
            assert family.name.endswith("_seconds")
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "python_gc_collections"} <= {
        family.name for family in families
    }


LABELS = {
    *("route", "status", "reason", "stage", "model", "version", "label", "target", "provider", "precision"),
    *("lane", "le"),
}


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Running, Network]]:
    network = publish_trapped(tmp_path)
    with Running(tmp_path, "--max-body-bytes=20000", workers=request.param) as running:
        yield running, network


def requests_of(found: dict[str, float]) -> dict[str, float]:
    """The request counters, without those of scrapes."""
    return {
        name: value
        for name, value in found.items()
        if name.startswith("mlp_requests_total") and " /metrics " not in name
    }


def scrape_after(running: Running, requests: int) -> dict[str, float]:
    """A scrape once the metrics of all workers include their last responses."""
    ends_s = time.monotonic() + 10
    while True:
        found = running.metrics()
        if sum(requests_of(found).values()) >= requests or time.monotonic() > ends_s:
            return found


def body(*rows: list[float]) -> bytes:
    return json.dumps({"inputs": list(rows)}).encode()


def test_a_scrape_is_exact_after_answers_and_errors(server: tuple[Running, Network]) -> None:
    running, network = server
    random = np.random.default_rng(4).normal(0, 1, (7, 4)).astype(np.float32)
    random[:, 3] = 0
    sent = [
        *[(200, post(body(GOOD)))] * 5,
        (200, post(body(*random.tolist()), "/models/small/predict")),
        (200, post(body(*random.tolist()), "/models/small/versions/1/predict")),
        (400, post(b"{")),
        *[(422, post(body(GOOD[:3])))] * 2,
        (404, post(body(GOOD), "/models/large/predict")),
        (404, post(body(GOOD), "/models/small/versions/2/predict")),
        (413, post(b" " * 20_001)),
        (415, post(body(GOOD), "/predict", "content-type: text/html")),
        (500, post(body(BAD))),
        (504, post(body(GOOD), "/predict", "x-request-timeout-s: 1e-9")),
        (405, b"GET /predict HTTP/1.1\r\nhost: test\r\n\r\n"),
        (405, b"GET /models/small/predict HTTP/1.1\r\nhost: test\r\n\r\n"),
        (404, b"GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n"),
        (200, b"GET /models HTTP/1.1\r\nhost: test\r\n\r\n"),
        (200, b"GET /models/small HTTP/1.1\r\nhost: test\r\n\r\n"),
        (400, b"\x00\r\n\r\n"),
    ]
    for status, request in sent:
        with running.connect() as line:
            line.send(request)
            assert line.answer().status == status
    found = scrape_after(running, len(sent))
    assert requests_of(found) == {
        "mlp_requests_total small /predict 200": 5,
        "mlp_requests_total small /models/{name}/predict 200": 1,
        "mlp_requests_total small /models/{name}/versions/{version}/predict 200": 1,
        "mlp_requests_total small /predict 400": 1,
        "mlp_requests_total small /predict 422": 2,
        "mlp_requests_total  /models/{name}/predict 404": 1,
        "mlp_requests_total small /models/{name}/versions/{version}/predict 404": 1,
        "mlp_requests_total small /predict 413": 1,
        "mlp_requests_total small /predict 415": 1,
        "mlp_requests_total small /predict 500": 1,
        "mlp_requests_total small /predict 504": 1,
        "mlp_requests_total  /predict 405": 1,
        "mlp_requests_total small /models/{name}/predict 405": 1,
        "mlp_requests_total  unmatched 404": 1,
        "mlp_requests_total  /models 200": 1,
        "mlp_requests_total small /models/{name} 200": 1,
        "mlp_requests_total  unmatched 400": 1,
    }
    assert {name: value for name, value in found.items() if name.startswith("mlp_rejections_total")} == {
        "mlp_rejections_total small malformed-body": 1,
        "mlp_rejections_total  malformed-request": 1,
        "mlp_rejections_total small invalid-input": 2,
        "mlp_rejections_total  not-found": 2,
        "mlp_rejections_total small not-found": 1,
        "mlp_rejections_total  method-not-allowed": 1,
        "mlp_rejections_total small method-not-allowed": 1,
        "mlp_rejections_total small body-too-large": 1,
        "mlp_rejections_total small unsupported-media": 1,
        "mlp_rejections_total small model-failed": 1,
        "mlp_rejections_total small deadline-exceeded": 1,
    }
    predicted = network.answer(np.array([GOOD] * 5 + [*random] * 2, np.float32)).argmax(axis=1)
    for index, label in enumerate(("ape", "bee", "cat")):
        assert found[f"mlp_predictions_total {label} small 1"] == np.count_nonzero(predicted == index)
    assert found["mlp_prediction_confidence_count small 1"] == len(predicted)
    assert found["mlp_batch_rows_sum small"] == len(predicted)
    assert (found["mlp_request_rows_count small"], found["mlp_request_rows_sum small"]) == (7, 19)
    assert {found[f"mlp_stage_duration_seconds_count small {stage}"] for stage in ("decode", "queue", "inference")} == {
        7
    }
    assert found["mlp_model_info small fp32 cpu 1"] == found["mlp_ready"] == 1
    assert found["mlp_requests_in_flight"] <= 1  # the scrape
    assert found["mlp_model_load_failures_total small"] == 0
    assert 0 < found["mlp_model_load_seconds small 1"] < 60
    assert found["process_resident_memory_bytes"] > 10e6


def start_two_workers(folder: Path) -> None:
    heartbeats = Heartbeats(2)
    for index in range(2):
        metrics.mark_absent(index, folder)
    first = metrics.worker(0, folder, heartbeats)
    first.requests.in_flight(3)
    assert samples(first.exposition())["mlp_requests_in_flight []"] == 3
    second = metrics.worker(1, folder, heartbeats)
    second.versions.serving("small", 1, "cpu", "fp32", on=True)
    second.requests.in_flight(4)
    both = samples(first.exposition())
    assert (both["mlp_worker_starts_total []"], both["mlp_requests_in_flight []"]) == (2, 7)
    second.count([record("/predict", 200, 0.01, rows=1)])


@pytest.mark.parametrize("hung", [False, True])
def test_an_absent_worker_has_no_gauges_and_its_counts_stay(tmp_path: Path, hung: bool) -> None:
    """1. One worker starts, then another. 2. That one dies. 3. It is back, with another version of a model."""

    def after_a_death() -> None:
        metrics.mark_absent(1, tmp_path, died=True, hung=hung)
        found = samples(metrics.worker(0, tmp_path, Heartbeats(2)).exposition())
        assert found["mlp_requests_in_flight []"] == 3
        assert found["mlp_requests_total [('model', 'small'), ('route', '/predict'), ('status', '200')]"] == 1
        assert (found["mlp_worker_deaths_total []"], found["mlp_worker_starts_total []"]) == (1, 3)  # this one, too
        assert found["mlp_worker_hangs_total []"] == hung

    def after_its_return() -> None:
        second = metrics.worker(1, tmp_path, Heartbeats(2))
        second.versions.serving("small", 2, "cpu", "fp32", on=True)
        second.count([record("/predict", 200, 0.01, rows=1)])
        found = samples(second.exposition())
        assert found["mlp_requests_total [('model', 'small'), ('route', '/predict'), ('status', '200')]"] == 2
        info = "mlp_model_info [('model', 'small'), ('precision', 'fp32'), ('provider', 'cpu'), ('version', '{}')]"
        assert [found[info.format(version)] for version in (1, 2)] == [0, 1]

    in_a_child(start_two_workers, tmp_path)
    in_a_child(after_a_death)
    in_a_child(after_its_return)


def count_on_a_full_disk(folder: Path) -> None:
    server_metrics = metrics.worker(0, folder, Heartbeats(1))
    server_metrics.count([record("/predict", 200, 0.01, rows=1)])
    server_metrics.server.start_is_over()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    routes = [f"/{number:0>1000}" for number in range(200)]
    for route in routes:
        server_metrics.count([record(route, 200, 0.01), record("/predict", 200, 0.01, rows=1)])
    found = samples(server_metrics.exposition())
    requests = [value for name, value in found.items() if name.startswith("mlp_requests_total") and "/000" in name]
    assert 50 < len(requests) < 200
    assert set(requests) == {1}
    assert found["mlp_label_sets_dropped_total []"] > 200 - len(requests)
    assert found["mlp_requests_total [('model', 'small'), ('route', '/predict'), ('status', '200')]"] == 201
    with pytest.raises(StartError, match=r"no space for the workers' metrics: .*/summary_0\.db needs 131,072 bytes"):
        server_metrics.models.regressions("later", 1, ("width",))


def test_on_a_full_disk_only_new_label_sets_are_dropped(tmp_path: Path) -> None:
    in_a_child(count_on_a_full_disk, tmp_path)


def load_on_a_full_disk(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, resource.RLIM_INFINITY))
    server_metrics = metrics.worker(0, folder, Heartbeats(1))
    server_metrics.models.batches("small", 1, [f"label {number}" for number in range(100)])
    with pytest.raises(StartError, match=r"no space for the workers' metrics: .*/counter_0\.db needs 327,680 bytes"):
        server_metrics.models.batches("large", 1, [f"label {number}" for number in range(3000)])


def test_a_model_whose_labels_need_too_much_space_is_refused_at_the_start(tmp_path: Path) -> None:
    in_a_child(load_on_a_full_disk, tmp_path)


def check_files_are_complete(folder: Path) -> None:
    def look() -> None:
        while not over.is_set():
            seen.update(path.stat().st_size for path in folder.glob("*.db"))

    over, seen = threading.Event(), {2 * 64 * 1024}
    thread = threading.Thread(target=look)
    thread.start()
    for index in range(30):
        metrics.worker(index, folder, Heartbeats(30))
    over.set()
    thread.join()
    assert seen == {2 * 64 * 1024}


def test_a_scrape_never_sees_a_partial_file_of_another_worker(tmp_path: Path) -> None:
    in_a_child(check_files_are_complete, tmp_path)


def check_space_is_allocated(folder: Path) -> None:
    server_metrics = metrics.worker(0, folder, Heartbeats(1))
    server_metrics.models.batches("small", 1, [f"label {number}" for number in range(3000)])
    for path in folder.iterdir():
        *_, (_, _, _, last) = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]
        assert path.stat().st_blocks * 512 >= last + 64 * 1024, path


def test_space_is_allocated_before_it_is_used(tmp_path: Path) -> None:
    """Otherwise the file is sparse, and a full disk ends the process."""
    in_a_child(check_space_is_allocated, tmp_path)


def test_a_server_gives_the_format_and_encoding_that_are_asked_for(tmp_path: Path) -> None:
    publish(tmp_path)
    with Running(tmp_path) as running, running.client() as client:
        text, openmetrics = (client.get("/metrics", headers={"accept": form.value}) for form in Format)
        plain = client.get("/metrics", headers={"accept-encoding": "identity"})
        head = client.head("/metrics")
    assert text.headers["content-type"] == CONTENT_TYPE_LATEST
    assert openmetrics.headers["content-type"] == OPENMETRICS_TYPE
    assert openmetrics.text.endswith("\n# EOF\n")
    assert (text.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert int(text.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert (head.status_code, head.content, head.headers["content-encoding"]) == (200, b"", "gzip")
