"""Fit a network as the command line does: shuffled batches, a learning-rate schedule, evaluation, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.config import Config
from training.engine import gradient, loop, schedule, subnormal
from training.engine.augment import Augment
from training.engine.batches import BatchSource
from training.engine.device import largest_matrix, threads_for
from training.engine.early_stopping import EarlyStopping
from training.engine.flat_parameters import FlatParameters, flattened
from training.engine.loop import Rows
from training.engine.losses import Objective
from training.errors import Diverged

_TOLERANCE: Final = 1e-6  # a loss that improves by less than its rounding error has not improved
_LARGE: Final = 2**17  # numbers of a matrix
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


def fit(
    body: nn.Sequential,
    train: BatchSource,
    validation: Rows,
    objective: Objective,
    config: Config,
    *,
    augment: Augment | None = None,
    on_epoch: Callable[[Epoch], bool | None],
    on_step: Callable[[], None] = lambda: None,
) -> list[Epoch]:
    """Train ``body`` in place on the batches of ``train`` and return the history of its epochs.

    With ``config.patience``, training stops that many epochs after the lowest validation loss and restores the weights
    of that epoch. Without it, all epochs are trained and the last weights stay. ``on_epoch`` is called after each
    epoch and may stop training by returning True, ``on_step`` before each step; both may end it by raising. Raises
    `Diverged`.
    """
    batches_per_epoch = _batches_per_epoch(train.rows, config)
    patience = config.patience - 1 if config.patience else math.inf
    early_stopping = EarlyStopping(body, patience, tolerance=_TOLERANCE, keep_best=bool(config.patience))
    history: list[Epoch] = []
    with flattened(body) as flat, threads_for(body, config.batch_size), subnormal.flushed():
        batch_gradient = gradient.of(body, flat, objective.loss, half=half_precision_pays(train.device, body))
        optimizer = _ScheduledOptimizer(flat, config, config.epochs * batches_per_epoch)
        for number in range(1, config.epochs + 1):
            started_s = time.perf_counter()
            with closing(train.epoch(number, batches_per_epoch)) as batches:
                train_loss = loop.train_epoch(batches, batch_gradient, optimizer.step, augment=augment, on_step=on_step)
            validation_loss, score = _evaluate(body, validation, objective)
            epoch = Epoch(number, train_loss, validation_loss, score, time.perf_counter() - started_s)
            _check_finite(epoch, config)
            history.append(epoch)
            early_stopping.update(-validation_loss)
            if on_epoch(epoch) or early_stopping.should_stop:
                break
    early_stopping.restore_best()
    body.eval()
    return history


def best_epoch(history: Sequence[Epoch], config: Config) -> Epoch:
    """The epoch whose weights the network has: the best one with ``config.patience``, else the last one."""
    return min(history, key=lambda epoch: epoch.validation_loss) if config.patience else history[-1]


def _batches_per_epoch(rows: int, config: Config) -> int:
    """The number of equal batches, give or take one row; batch norm needs at least 2 rows in each."""
    fewest_rows = 2 if config.batch_norm else 1
    return min(math.ceil(rows / config.batch_size), rows // fewest_rows)


def _check_finite(epoch: Epoch, config: Config) -> None:
    for name, loss in (("loss", epoch.train_loss), ("validation loss", epoch.validation_loss)):
        if not math.isfinite(loss):
            raise Diverged(
                f"the {name} is {loss} in epoch {epoch.number}; try a smaller --lr (it is {config.lr:g}), and check "
                "the data for values of very different size"
            )


@torch.no_grad()
def _evaluate(body: nn.Sequential, rows: Rows, objective: Objective) -> tuple[float, float]:
    """Validation loss and score."""
    assert isinstance(rows.inputs, Tensor)  # noqa: S101 - the command line's rows are dense
    body.eval()
    outputs = torch.cat([body(part) for part in torch.split(rows.inputs, _CHUNK_ROWS)])
    loss = gradient.mean(objective.validation_loss(outputs, rows.targets), rows.weights)
    return loss.item(), objective.score(outputs, rows.targets).item()


class _ScheduledOptimizer:
    """The optimizer of ``config``, with the learning rate of the one-cycle schedule at each of ``steps`` steps."""

    def __init__(self, flat: FlatParameters, config: Config, steps: int) -> None:
        self._optimizer = _optimizer(flat, config)
        self._rates = map(schedule.one_cycle(config.lr, steps), range(steps))

    def step(self) -> None:
        rate = next(self._rates)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()


def _optimizer(flat: FlatParameters, config: Config) -> torch.optim.Optimizer:
    """Weight matrices decay; biases and batch norms do not."""
    matrices, vectors = slice(flat.matrices), slice(flat.matrices, None)
    groups: list[dict[str, Any]] = []
    for part, decay in ((matrices, config.weight_decay), (vectors, 0.0)):
        values = nn.Parameter(flat.values[part])
        values.grad = flat.gradients[part]
        groups.append({"params": [values], "weight_decay": decay})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True, fused=True)
    adam = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return adam(groups, lr=config.lr, fused=True)


def half_precision_pays(device: torch.device, body: nn.Sequential) -> bool:
    """Whether bfloat16 is faster: the processor supports it and the matrices are large enough to gain from it."""
    if device.type == "cuda":
        supported = torch.cuda.is_bf16_supported()
    else:
        supported = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    large = largest_matrix(body) >= _LARGE or any(isinstance(layer, nn.Conv2d) for layer in body)
    return supported and large
