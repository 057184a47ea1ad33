"""Train a network in one process and by Ray workers, one of which may be killed; print how the networks differ."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tests.training.small import sides
from training.cluster.choice import Cluster
from training.cluster.training import train_network
from training.config import Config
from training.data.split import split
from training.engine.trainer import Epoch
from training.recipe import train
from training.recipe.train import TrainResult


def children(parent: int) -> Iterator[int]:
    """The processes below ``parent``."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == parent:
            yield int(status.parent.name)
            yield from children(int(status.parent.name))


def kill_a_worker() -> int:
    """Kill one of the workers that this process started; return its id."""
    workers = [
        each for each in children(os.getpid()) if b"RayTrainWorker" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]
    os.kill(workers[-1], signal.SIGKILL)
    return workers[-1]


def weights(trained: TrainResult) -> Tensor:
    return torch.cat([each.detach().flatten() for each in trained.network.parameters()])


def main(workers: int, kill_after: int) -> None:
    """Train with so many ``workers``, and kill one after epoch ``kill_after``; 0 for none."""
    dataset = sides(501)
    dataset = replace(dataset, weights=np.random.default_rng(1).uniform(0.5, 2, len(dataset.inputs)))
    config = Config(hidden=(16,), batch_size=50, lr=0.01, epochs=10, patience=10)
    parts = split(dataset, config)
    alone = train.train_network(dataset, parts, config, torch.device("cpu"), lambda _: None)
    reported: list[Epoch] = []
    killed: list[int] = []

    def on_epoch(epoch: Epoch) -> None:
        reported.append(epoch)
        if epoch.number == kill_after:
            killed.append(kill_a_worker())

    cluster = Cluster(workers=workers, checkpoint_every_s=0.0)
    found = train_network(
        *(cluster, dataset, parts, config), on_epoch=on_epoch, on_teacher_epoch=lambda _: None, on_step=lambda: None
    )
    losses = [[epoch.validation_loss for epoch in each.history] for each in (alone, found)]
    sys.stdout.write(
        json.dumps(
            {
                "difference": float((weights(found) - weights(alone)).abs().max()),
                "losses": float(np.abs(np.subtract(*losses)).max()),
                "killed": len(killed),
                "reported": [asdict(epoch) for epoch in reported],
                "history": [asdict(epoch) for epoch in found.history],
                "left": len(list(children(os.getpid()))),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
