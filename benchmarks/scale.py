"""Training by 1, 2 and 4 Ray workers on this machine, and by one process: python -m benchmarks.scale

Fashion-MNIST through 784-512-512-10 in batches of 512, as `mlp-train --ray local` trains it, without augmentation. Each
runs alone, one after the other. The first epoch warms up. Needs mlp-serving[ray].
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks import provenance, report
from training.cluster.choice import Cluster
from training.cluster.training import train_network
from training.config import DEFAULT, RECIPES, Config
from training.data import fashion_mnist
from training.data.dataset import Dataset
from training.data.split import Split, split
from training.engine import subnormal
from training.recipe import train
from training.recipe.train import TrainResult

_PLAIN = {"flip": False, "shift_pixels": 0, "erase_pixels": 0}


def measured(run: Callable[[], TrainResult], rows: int) -> dict[str, Any]:
    """Seconds of each epoch but the first, of the whole run, and the last validation score."""
    began_s = time.perf_counter()
    with subnormal.flushed():
        history = run().history
    return {
        "rows": rows,
        "total_s": time.perf_counter() - began_s,
        "epochs_s": [epoch.duration_s for epoch in history[1:]],
        "accuracy": history[-1].validation_score,
    }


def runs(dataset: Dataset, parts: Split, config: Config, workers: list[int]) -> dict[str, dict[str, Any]]:
    """One process with one thread and with all, then each number of ``workers``."""

    def here(threads: int) -> TrainResult:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return train.train_network(dataset, parts, config, torch.device("cpu"), lambda _: None)
        finally:
            torch.set_num_threads(before)

    def there(count: int) -> TrainResult:
        silent: dict[str, Any] = dict.fromkeys(("on_epoch", "on_teacher_epoch"), lambda _: None)
        return train_network(Cluster(workers=count), dataset, parts, config, **silent, on_step=lambda: None)

    found = {}
    for threads in sorted({1, torch.get_num_threads()}):
        name = f"one process, {threads} thread{'s' * (threads > 1)}"
        found[name] = measured(partial(here, threads), len(parts.train))
        print(name, file=sys.stderr)
    for number in workers:
        name = f"{number} Ray worker{'s' * (number > 1)} of 1 thread"
        found[name] = measured(partial(there, number), len(parts.train))
        print(name, file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.scale", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="numbers of workers (default: 1 2 4)")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each; the first warms up (default: 6)")
    parser.add_argument("--results", type=Path, default=report.RESULTS, help="folder for the results")
    options = parser.parse_args()
    images = fashion_mnist.load(None)
    config = Config(**RECIPES[DEFAULT]["image"] | _PLAIN | {"epochs": options.epochs, "device": "cpu"})
    command = " ".join(["python -m benchmarks.scale", *sys.argv[1:]])
    about = provenance.of_run(command, f"torch {version('torch')}, ray {version('ray')}")
    found = runs(images, split(images, config), config, options.workers)
    report.save(options.results / "scale.json", {"provenance": about, "runs": found})


if __name__ == "__main__":
    main()
