"""One worker of a training run: it trains on its part of each batch and adds up with the others."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import ray
import torch
from ray import train as ray_train
from ray.train.torch import get_device
from torch import Tensor

from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split
from training.engine import subnormal
from training.engine.trainer import Epoch
from training.engine.workers import State
from training.errors import Diverged, OptionError, TrainingError
from training.recipe import train
from training.recipe.train import TrainResult

_STATE: Final = "state.pt"


class Job(NamedTuple):
    """What all workers train, and how often they keep their state."""

    dataset: Dataset
    split: Split
    config: Config
    checkpoint_every_s: float


def run(given: dict[str, Any]) -> TrainResult | TrainingError | None:
    """Train the job that the reference ``given["job"]`` means; return what the first worker trained.

    An error that all workers have is returned, because trying again would not help.
    """
    (reference,) = given["job"]
    job: Job = ray.get(reference)
    device = get_device()
    worker = RayWorker(device, job.checkpoint_every_s)
    try:
        with subnormal.flushed():
            trained = train.train_network(job.dataset, job.split, job.config, device, worker.note, workers=worker)
    except (Diverged, OptionError) as error:
        return error
    return trained if worker.index == 0 else None


class RayWorker:
    """Adds up with torch's collectives; reports epochs and keeps the state by Ray's checkpoints.

    A checkpoint has one file, written by the first worker with `torch.save` and read with ``weights_only``, which takes
    tensors and numbers and runs no code.
    """

    def __init__(self, device: torch.device, checkpoint_every_s: float) -> None:
        context = ray_train.get_context()
        self.index: int = context.get_world_rank()
        self.count: int = context.get_world_size()
        self._device = device
        self._every_s = checkpoint_every_s
        self._kept_s = time.monotonic()
        self._epochs: list[dict[str, Any]] = []

    def sum(self, values: Tensor) -> None:
        """Replace ``values`` by their sum over the workers."""
        torch.distributed.all_reduce(values)

    def last_state(self) -> State | None:
        """The state in the last checkpoint, None if there is none."""
        checkpoint = ray_train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            state: State = torch.load(Path(folder) / _STATE, map_location="cpu", weights_only=True)
        return state

    def note(self, epoch: Epoch) -> None:
        """Note an ``epoch``, to be reported with the next checkpoint."""
        self._epochs.append(asdict(epoch))

    def keep(self, state: Callable[[], State]) -> None:
        """Write a checkpoint if the last one is old enough, and report the epochs since then."""
        if not self._is_due():
            return
        metrics = {"epochs": self._epochs}
        if self.index == 0:
            with tempfile.TemporaryDirectory(prefix="mlp-checkpoint-") as folder:
                torch.save(state(), Path(folder) / _STATE)
                ray_train.report(metrics, checkpoint=ray_train.Checkpoint.from_directory(folder))
        else:
            ray_train.report(metrics, checkpoint=None)
        self._epochs = []
        self._kept_s = time.monotonic()

    def _is_due(self) -> bool:
        """What the first worker's clock says, so that all workers report together."""
        due = self.index == 0 and time.monotonic() - self._kept_s >= self._every_s
        answer = torch.tensor([float(due)], device=self._device)
        self.sum(answer)
        return bool(answer.item())
