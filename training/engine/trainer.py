"""Fit a network as the command line does: shuffled batches, a learning-rate schedule, evaluation, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from training.config import Config
from training.engine import gradient, loop, products, subnormal
from training.engine.augment import Augment
from training.engine.averaging import averaged
from training.engine.batches import BatchSource
from training.engine.device import threads_for
from training.engine.early_stopping import EarlyStopping
from training.engine.flat_parameters import flattened
from training.engine.loop import Rows
from training.engine.losses import Objective
from training.engine.optimizer import ScheduledOptimizer
from training.engine.resuming import Progress
from training.engine.weight_average import WeightAverage
from training.engine.workers import (
    ALONE,
    Workers,
    average_over_workers,
    gathered,
    rows_of_all,
    running_statistics,
    seed_epoch,
    share_first,
)
from training.errors import Diverged

_TOLERANCE: Final = 1e-6  # a loss that improves by less than its rounding error has not improved
_CHUNK_ROWS: Final = 1024  # evaluated at a time: the activations of a convolution take 300 KB per image


@dataclass(frozen=True, slots=True)
class Epoch:
    """Results of one pass over the training rows.

    ``train_loss`` is the mean over the steps, while the network was changing. Validation loss and score are NaN if
    there are no validation rows. ``duration_s`` covers training and evaluation.
    """

    number: int
    train_loss: float
    validation_loss: float
    validation_score: float
    duration_s: float


def fit(  # noqa: PLR0913 - what is trained, on what, how, and who is told
    body: nn.Sequential,
    train: BatchSource,
    validation: Rows,
    objective: Objective,
    config: Config,
    *,
    augment: Augment | None = None,
    on_epoch: Callable[[Epoch], bool | None],
    on_step: Callable[[], None] = lambda: None,
    half: bool = False,
    workers: Workers = ALONE,
) -> list[Epoch]:
    """Train ``body`` in place on the batches of ``train`` and return the history of its epochs.

    With ``config.patience``, training stops that many epochs after the lowest validation loss and restores the weights
    of that epoch. Without it, all epochs are trained and the last weights stay. With ``config.average_weights``, the
    weights that are evaluated and kept are averages. ``on_epoch`` is called after each epoch and may stop training by
    returning True, ``on_step`` before each step; both may end it by raising. If ``half``, matrices are multiplied in
    bfloat16. Raises `Diverged`.

    With several ``workers``, ``train`` has a part of each batch, and the networks of all workers stay the same.
    Training goes on from the state that they kept last.
    """
    batches_per_epoch = _batches_per_epoch(rows_of_all(train.rows, workers, train.device), config)
    patience = config.patience - 1 if config.patience else math.inf
    early_stopping = EarlyStopping(body, patience, tolerance=_TOLERANCE, keep_best=bool(config.patience))
    with flattened(body) as flat, threads_for(body, config.batch_size), subnormal.flushed():
        share_first(flat.values, workers)
        of_part = gradient.of(body, flat, objective.loss, half=half)
        of_batch = averaged(of_part, flat, workers)
        optimizer = ScheduledOptimizer(flat, config, batches_per_epoch)
        running = running_statistics(body)
        average = WeightAverage([flat.values, *running] if config.average_weights else [])
        progress = Progress(body, optimizer, early_stopping, average)
        history = [Epoch(*each) for each in progress.resume(workers.last_state())]

        def step() -> None:
            optimizer.step()
            average.update()

        for number in range(len(history) + 1, config.epochs + 1):
            if early_stopping.should_stop:
                break
            started_s = time.perf_counter()
            seed_epoch(config.seed, number, workers)
            with closing(train.epoch(number, batches_per_epoch)) as batches:
                train_loss = loop.train_epoch(batches, of_batch, step, augment=augment, on_step=on_step)
            average_over_workers(running, workers)
            with average.in_place():
                validation_loss, score = _evaluate(body, validation, objective, workers)
                epoch = Epoch(number, train_loss, validation_loss, score, time.perf_counter() - started_s)
                _check_finite(epoch, config)
                history.append(epoch)
                early_stopping.update(-validation_loss)
            stopped = on_epoch(epoch)
            workers.keep(lambda: {**progress.state(history), "half": half})
            if stopped:
                break
        average.swap()
    early_stopping.restore_best()
    body.eval()
    return history


def best_epoch(history: Sequence[Epoch], config: Config) -> Epoch:
    """The epoch whose weights the network has: the best one with ``config.patience``, else the last one."""
    return min(history, key=lambda epoch: epoch.validation_loss) if config.patience else history[-1]


def _batches_per_epoch(rows: Sequence[int], config: Config) -> int:
    """The number of equal batches, give or take one row, of the ``rows`` that each worker has.

    Batch norm needs at least 2 rows of each worker in each.
    """
    fewest_rows = 2 if config.batch_norm else 1
    return min(math.ceil(sum(rows) / config.batch_size), min(rows) // fewest_rows)


def _check_finite(epoch: Epoch, config: Config) -> None:
    for name, loss in (("loss", epoch.train_loss), ("validation loss", epoch.validation_loss)):
        if not math.isfinite(loss):
            raise Diverged(
                f"the {name} is {loss} in epoch {epoch.number}; try a smaller --lr (it is {config.lr:g}), and check "
                "the data for values of very different size"
            )


@torch.no_grad()
def _evaluate(body: nn.Sequential, rows: Rows, objective: Objective, workers: Workers) -> tuple[float, float]:
    """Validation loss and score."""
    inputs = rows.inputs
    assert isinstance(inputs, Tensor)  # noqa: S101 - the command line's rows are dense
    body.eval()
    outputs = gathered(
        lambda part: torch.cat([products.outputs(body, chunk) for chunk in torch.split(inputs[part], _CHUNK_ROWS)]),
        len(inputs),
        workers,
    )
    loss = gradient.mean(objective.validation_loss(outputs, rows.targets), rows.weights)
    return loss.item(), objective.score(outputs, rows.targets).item()
