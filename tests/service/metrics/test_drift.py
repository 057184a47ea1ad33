"""Metrics of drift: what a scrape gives, alone and for all workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from service.metrics import Metrics
from service.metrics.drift import Figure, Figures
from service.metrics.shared_counts import SharedCounts
from tests.service.drifting import publish_with_reference
from tests.service.published import TABLE, as_json, values_of
from tests.service.running import PATIENCE_S, Running, parsed


class Clock:
    """Gives the time that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def scraped(metrics: Metrics) -> dict[str, float]:
    found = parsed(metrics.exposition().decode())
    return {name: value for name, value in found.items() if "drift" in name or "feature" in name or "reference" in name}


def figures(totals: NDArray[np.float64]) -> Figures:
    return Figures(totals[-1], [Figure("feature", 'a "b"\n\\c', totals[0] / 8), Figure("missing", "age", 0.5)])


def test_figures_are_gauges_of_a_model_and_a_version() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.drift.watch("small", 3, lambda: np.array([2.0, 4.0]), figures)
    assert scraped(metrics) == {
        'mlp_feature_drift_psi a "b"\n\\c small 3': 0.25,
        "mlp_feature_missing_ratio age small 3": 0.5,
        "mlp_drift_rows small 3": 4,
    }
    metrics.drift.unwatch("small", 3)
    metrics.drift.unwatch("small", 3)
    assert scraped(metrics) == {}


def test_labels_have_their_shares_in_the_reference_before_any_row() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.drift.watch("small", 3, lambda: np.zeros(2), lambda _: Figures(0, []), {"ape": 0.75, "bee": 0.25})
    assert scraped(metrics) == {
        "mlp_prediction_reference_ratio ape small 3": 0.75,
        "mlp_prediction_reference_ratio bee small 3": 0.25,
        "mlp_drift_rows small 3": 0,
    }


def worker(folder: Path, index: int, clock: Clock, counts: tuple[float, ...], version: int = 1) -> Metrics:
    metrics = Metrics(CollectorRegistry(), shared=SharedCounts(index, folder, clock))
    metrics.drift.watch("small", version, lambda: np.array(counts), figures)
    return metrics


def test_any_worker_reports_the_counts_of_all(tmp_path: Path) -> None:
    clock = Clock()
    workers = [worker(tmp_path, index, clock, (1.0, 2.0 + index)) for index in range(3)]
    assert scraped(workers[0])["mlp_drift_rows small 1"] == 2  # the others have not written theirs
    for each in workers:
        each.share()
    for each in workers:
        assert scraped(each)["mlp_drift_rows small 1"] == 9
        assert scraped(each)['mlp_feature_drift_psi a "b"\n\\c small 1'] == 3 / 8


def test_other_versions_and_counts_of_another_length_are_not_added(tmp_path: Path) -> None:
    clock = Clock()
    for index, (counts, version) in enumerate([((1.0, 2.0), 1), ((1.0, 2.0), 2), ((1.0, 2.0, 3.0), 1)]):
        worker(tmp_path, index, clock, counts, version).share()
    assert scraped(worker(tmp_path, 3, clock, (1.0, 5.0)))["mlp_drift_rows small 1"] == 7


def test_the_counts_of_a_dead_worker_are_left_out_after_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    worker(tmp_path, 0, clock, (1.0, 2.0)).share()
    alive = worker(tmp_path, 1, clock, (1.0, 5.0))
    clock.now_s += 59
    assert scraped(alive)["mlp_drift_rows small 1"] == 7
    clock.now_s += 2
    assert scraped(alive)["mlp_drift_rows small 1"] == 5


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_file_cut_short_is_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts_7.json").write_bytes(content)
    assert scraped(worker(tmp_path, 1, Clock(), (1.0, 5.0)))["mlp_drift_rows small 1"] == 5


def test_a_folder_that_cannot_be_written_to_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "gone"
    alone = worker(folder, 0, Clock(), (1.0, 5.0))
    alone.share()
    alone.share()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("counts_0.new: No such file or directory; free some space")
    folder.mkdir()
    alone.share()
    assert (folder / "counts_0.json").exists()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_with_reference(folder)
    return folder


def send(server: Running, rows: NDArray[np.float32], clients: int) -> None:
    """Send the rows from so many connections, which the kernel distributes over the workers."""

    def one(part: NDArray[np.float32]) -> None:
        with server.client() as client:
            for row in part:
                assert client.post("/predict", json={"inputs": [as_json(TABLE, row)]}).status_code == 200

    threads = [threading.Thread(target=one, args=(part,)) for part in np.array_split(rows, clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def when(server: Running, rows: int, drifted: str | None = None) -> dict[str, float]:
    """The metrics once almost so many rows were counted: a worker that was held up takes what follows for high load."""
    ends_s = time.monotonic() + PATIENCE_S
    while True:
        found = server.metrics()
        enough = found.get("mlp_drift_rows table 1", 0) > 0.75 * rows
        if enough and (drifted is None or found[f"mlp_feature_drift_psi {drifted} table 1"] > 0.2):
            return found
        assert time.monotonic() < ends_s, found.get("mlp_drift_rows table 1")
        time.sleep(0.05)


@pytest.fixture(scope="module", params=[1, 2])
def server(models: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    with Running(models, workers=request.param) as running:
        yield running


def test_a_server_reports_the_drift_of_what_it_is_sent(server: Running) -> None:
    shares = [server.metrics()[f"mlp_prediction_reference_ratio {label} table 1"] for label in ("ape", "bee", "cat")]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0
    rows = values_of(TABLE, 600, 5)
    send(server, rows, 6)
    quiet = when(server, 600)
    assert {name.split()[1] for name in quiet if name.startswith("mlp_feature_drift")} == {
        feature.name for feature in TABLE
    }
    assert max(value for name, value in quiet.items() if "drift_psi" in name) < 0.1
    assert quiet["mlp_feature_missing_ratio age table 1"] == pytest.approx(np.isnan(rows[:, 0]).mean(), abs=0.1)
    assert quiet["mlp_feature_unknown_ratio job table 1"] == pytest.approx((rows[:, 4] == 2).mean(), abs=0.1)
    shifted = values_of(TABLE, 600, 6)
    shifted[:, 1] += 4
    shifted[:, 2] = np.nan
    send(server, shifted, 6)
    loud = when(server, 1200, drifted="height")
    assert loud["mlp_feature_drift_psi member table 1"] > 0.2
    assert loud["mlp_feature_drift_psi country table 1"] < 0.1
    assert loud["mlp_prediction_drift_psi table animal 1"] > 0


def test_drift_can_be_switched_off_and_labels_be_bounded(models: Path) -> None:
    with Running(models, "--drift-features=0", "--metrics-max-labels=1") as running:
        send(running, values_of(TABLE, 300, 5), 1)
        found = running.metrics()
    assert found["mlp_batch_rows_sum table"] == 300
    assert [name for name in found if "drift" in name or "feature" in name or "reference" in name] == []
    labels = {name: value for name, value in found.items() if name.startswith("mlp_predictions_total")}
    assert len(labels) == 2
    assert sum(labels.values()) == 300
    assert "mlp_predictions_total (other) table 1" in labels
