"""The sums over all workers' files are those of prometheus_client, after each change of the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service import metrics
from service.heartbeats import Heartbeats
from service.metrics import Metrics
from service.metrics.all_workers import AllWorkers
from service.metrics.text_formats import Format, render
from tests.service.forked import in_a_child
from tests.service.metrics.test_exposition import record
from tests.service.running import parsed

WORKERS = 3


def workers(folder: Path) -> list[Metrics]:
    return [metrics.worker(index, folder, Heartbeats(WORKERS)) for index in range(WORKERS)]


def changes(folder: Path) -> Iterator[None]:
    """Change the files, and pause after each change."""
    started = workers(folder)
    yield
    for index, each in enumerate(started):
        each.count([record(f"/{number}", 200, 0.003 * number, rows=number) for number in range(index + 1)])
        each.queues.set({("small", "small"): (index, 0.5 / (index + 1))}, index)
        each.versions.looked()
        yield
    started[0].count([record("/0", 200, 0.5, rows=3)])  # no new series
    yield
    for version in range(1, 40):
        started[1].models.loaded("small", version, 0.1 * version)
        started[1].models.batches("small", version, ['a "b"\n\\c', "größer", "x" * version])(
            np.full((2, 3), 1 / 3, np.float32), np.array([0, 2])
        )
        started[1].models.regressions("sizes", version, ["width"])(None, np.array([[-0.25]], np.float32))
        if version in {1, 2, 39}:
            yield
    started[1].retention.versions("small", [39])  # series are removed, and their file is replaced
    yield
    metrics.mark_absent(2, folder, died=True)
    yield
    (folder / "counter_2.db").unlink()
    yield


def compare(folder: Path) -> None:
    ours, oracle = AllWorkers(folder), CollectorRegistry()
    for change in changes(folder):
        assert change is None
        if not oracle._collector_to_names:
            MultiProcessCollector(oracle)  # type: ignore[no-untyped-call]
        found = parsed(render(ours.families(), Format.TEXT, {}).decode())
        expected = parsed(generate_latest(oracle).decode())
        assert found == expected
    assert len(found) > 200


def test_sums_are_those_of_the_client_library(tmp_path: Path) -> None:
    in_a_child(compare, tmp_path)


def test_a_folder_without_files_has_no_families(tmp_path: Path) -> None:
    assert list(AllWorkers(tmp_path).families()) == []
