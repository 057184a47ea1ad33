"""Label sets of versions and models that are long gone are removed, in one process and in the files of several."""

from __future__ import annotations

import re
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from service import metrics
from service.heartbeats import Heartbeats
from service.metrics import Metrics
from tests.service.forked import in_a_child

ROWS = np.full((2, 3), 1 / 3, np.float32), np.zeros(2, np.int64)


def unload_many(counted: Metrics, name: str = "small", first: int = 1, last: int = 100) -> None:
    """Load versions one after the other, the last two of which stay loaded."""
    for version in range(first, last + 1):
        counted.models.loaded(name, version, 0.1)
        counted.versions.serving(name, version, "cpu", "fp32", on=True)
        counted.versions.serving(name, version - 1, "cpu", "fp32", on=False)
        counted.models.batches(name, version, ("ape", "bee", "cat"))(*ROWS)
        counted.models.flush()
        counted.retention.versions(name, [version, version - 1])


def versions(counted: Metrics, name: str = "small") -> dict[str, list[int]]:
    """The versions in each metric of a scrape."""
    found: dict[str, set[int]] = {}
    for metric, labels in re.findall(r"^(mlp_\w+?)(?:_bucket)?\{(.*)\} ", counted.exposition().decode(), re.MULTILINE):
        version = re.search(r'version="(\d+)"', labels)
        if version and f'model="{name}"' in labels:
            found.setdefault(metric, set()).add(int(version[1]))
    return {metric: sorted(each) for metric, each in found.items()}


def check_versions(counted: Metrics) -> None:
    unload_many(counted)
    for metric, found in versions(counted).items():
        assert 22 <= len(found) <= 32, metric
        assert found[-1] == 100
        assert found[0] >= 69
    assert 'mlp_predictions_total{label="ape",model="small",version="100"} 2.0' in counted.exposition().decode()
    assert 'mlp_batch_rows_count{model="small"} 100.0' in counted.exposition().decode()


def check_loaded_ones_stay(counted: Metrics) -> None:
    """A version that is pinned has a low number and is still loaded."""
    counted.models.loaded("small", 1, 0.1)
    for version in range(2, 100):
        counted.models.loaded("small", version, 0.1)
        counted.retention.versions("small", [1, version])
    assert versions(counted)["mlp_model_load_seconds"][0] == 1


def check_models(counted: Metrics) -> None:
    counted.models.loaded("stays", 1, 0.1)
    for number in range(100):
        counted.models.loaded(f"m{number}", 1, 0.1)
        counted.retention.models(["stays"])
    text = counted.exposition().decode()
    assert 'mlp_model_load_seconds{model="stays",version="1"} 0.1' in text
    assert 20 <= text.count("mlp_model_load_seconds{") <= 32
    assert 'model="m99"' in text
    assert 'model="m60"' not in text


CHECKS = [check_versions, check_loaded_ones_stay, check_models]


@pytest.mark.parametrize("check", CHECKS)
def test_one_process_forgets(check: Callable[[Metrics], None]) -> None:
    check(metrics.alone())


@pytest.mark.parametrize("check", CHECKS)
def test_a_worker_forgets_in_its_files(tmp_path: Path, check: Callable[[Metrics], None]) -> None:
    def work() -> None:
        metrics.mark_absent(0, tmp_path, died=False)
        check(metrics.worker(0, tmp_path, Heartbeats(2)))

    in_a_child(work)


def test_files_do_not_grow_and_a_new_worker_forgets_what_a_dead_one_left(tmp_path: Path) -> None:
    def first() -> None:
        counted = metrics.worker(0, tmp_path, Heartbeats(2))
        unload_many(counted, last=40)

    def second() -> None:
        counted = metrics.worker(0, tmp_path, Heartbeats(2))
        unload_many(counted, first=41, last=140)
        assert all(found[0] > 100 for found in versions(counted).values())
        assert 'mlp_batch_rows_count{model="small"} 140.0' in counted.exposition().decode()

    in_a_child(first)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    in_a_child(second)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == sizes


def test_a_forgotten_series_that_returns_starts_at_zero_and_a_late_count_is_dropped(tmp_path: Path) -> None:
    def work() -> None:
        counted = metrics.worker(0, tmp_path, Heartbeats(2))
        late = counted.models.batches("small", 1, ("ape", "bee", "cat"))
        unload_many(counted, first=2)
        late(*ROWS)
        assert 1 not in versions(counted)["mlp_predictions_total"]
        counted.models.batches("small", 1, ("ape", "bee", "cat"))(*ROWS)
        assert 'mlp_predictions_total{label="ape",model="small",version="1"} 2.0' in counted.exposition().decode()

    in_a_child(work)


def test_scrapes_see_whole_files_while_another_worker_forgets(tmp_path: Path) -> None:
    """The file is replaced, never rewritten in place: each scrape has the counts of all batches so far."""

    def work() -> None:
        counted = metrics.worker(0, tmp_path, Heartbeats(2))
        unload_many(counted, last=400)

    def scrape() -> None:
        scraped = metrics.worker(1, tmp_path, Heartbeats(2))
        before = 0.0
        while before < 400:
            found = re.search(r'mlp_batch_rows_count\{model="small"\} (\d+)', scraped.exposition().decode())
            now = float(found[1]) if found else 0.0
            assert now >= before
            before = now

    child = get_context("fork").Process(target=work)
    child.start()
    in_a_child(scrape)
    child.join()
    assert child.exitcode == 0
