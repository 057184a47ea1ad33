"""The rows of a data set as a network is trained on them: preprocessed, with standardised targets and weights."""

from __future__ import annotations

import copy
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import Config
from training.data.dataset import Dataset
from training.data.split import Split
from training.data.streamed import Chunk
from training.engine.batches import BatchSource, InMemoryBatches, SlicedBatches
from training.engine.loop import Batch, Rows
from training.engine.streamed_batches import StreamedBatches
from training.engine.workers import Workers
from training.errors import OptionError
from training.model.network import Network

BATCH_ROWS: Final = 8192  # preprocessed at a time


def of_part(
    network: Network,
    dataset: Dataset,
    part: NDArray[np.int64],
    class_weights: Tensor | None,
    device: torch.device,
) -> Rows:
    """The rows of ``part`` int64 (rows,), preprocessed once, before training, and moved to the ``device``."""
    preparation = network.preprocess
    inputs = torch.empty(len(part), preparation.width, device=device)
    for first in range(0, len(part), BATCH_ROWS):
        raw = torch.from_numpy(dataset.inputs[part[first : first + BATCH_ROWS]]).to(preparation.input_dtype)
        inputs[first : first + BATCH_ROWS] = preparation(raw)
    targets = _targets(network, torch.from_numpy(dataset.targets[part]))
    weights = weights_of(dataset, part, class_weights)
    return Rows(inputs, targets.to(device), None if weights is None else weights.to(device))


def _targets(network: Network, targets: Tensor) -> Tensor:
    """What the body learns: labels int64 (rows,), or standardised values float32 (rows, targets)."""
    if not targets.is_floating_point():
        return targets
    return ((targets - network.output_offset.double()) / network.output_scale.double()).float()


def batches_of(
    network: Network,
    dataset: Dataset,
    train: Rows,
    class_weights: Tensor | None,
    config: Config,
    workers: Workers,
) -> BatchSource:
    """A worker's batches of the rows ``train``, or, if the table is streamed, of all its training rows."""
    shard = (workers.index, workers.count)
    if dataset.streamed is None:
        return InMemoryBatches(train) if workers.count == 1 else SlicedBatches(train, shard)
    preparation = copy.deepcopy(network.preprocess)  # for the thread that reads

    @torch.no_grad()
    def prepare(chunk: Chunk) -> Batch:
        labels = torch.from_numpy(chunk.targets)
        inputs = preparation(torch.from_numpy(chunk.inputs).to(preparation.input_dtype))
        weights = None if class_weights is None else class_weights[labels]
        return inputs, _targets(network, labels), weights

    return StreamedBatches(dataset.streamed, prepare, train.inputs.device, config.seed, shard)


def weights_of(dataset: Dataset, part: NDArray[np.int64], class_weights: Tensor | None) -> Tensor | None:
    """The weights float32 (rows,) of the rows of ``part``, 1 on average before those of their classes."""
    own = dataset.weights_of(part)
    if own is None:
        return None if class_weights is None else class_weights[torch.from_numpy(dataset.targets[part])]
    weights = torch.from_numpy(own / own.mean()).float()
    return weights if class_weights is None else weights * class_weights[torch.from_numpy(dataset.targets[part])]


def weights_of_classes(dataset: Dataset, split: Split, config: Config) -> Tensor | None:
    """The weight float32 of a row by its class (classes,), giving all classes the same total; None for equal ones.

    Raises `OptionError` if a class has no weight in training.
    """
    if config.class_weight == "none":
        return None
    if dataset.streamed is not None and dataset.streamed.class_rows is not None:
        totals: NDArray[Any] = dataset.streamed.class_rows
    else:
        totals = np.bincount(dataset.targets[split.train], dataset.weights_of(split.train), len(dataset.labels))
    if not totals.all():
        label = dataset.labels[int(totals.argmin())]
        raise OptionError(
            f"--class-weight is 'balanced', but all training rows of class {label!r} have the weight 0; give some of "
            "them a weight, or leave --class-weight out"
        )
    return torch.from_numpy(totals.mean() / totals).float()
