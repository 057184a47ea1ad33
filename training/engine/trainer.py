"""A run as the command line asks for: optimizer, schedule, batches; judged after each epoch, stopped in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.config import Config
from training.engine import gradient, loop, schedule
from training.engine.augment import Augment
from training.engine.device import threads_for
from training.engine.early_stopping import Patience
from training.engine.flat_parameters import Flat, flattened
from training.engine.loop import Rows
from training.engine.losses import Objective
from training.errors import Diverged

_TOLERANCE: Final = 1e-6  # a loss that crawls on below what it is rounded to is no better
_LARGE: Final = 2**17  # numbers of a matrix
_CHUNK_ROWS: Final = 1024  # judged at a time: what convolutions make of an image takes 300 KB


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training rows came to. The training loss is the mean over its steps, as trained on.

    Where there are no validation rows the validation's loss and score are NaN.
    """

    number: int
    train_loss: float
    validation_loss: float
    validation_score: float
    duration_s: float


def fit(
    body: nn.Sequential,
    train: Rows,
    validation: Rows,
    objective: Objective,
    config: Config,
    *,
    augment: Augment | None = None,
    on_epoch: Callable[[Epoch], None],
    on_step: Callable[[], None] = lambda: None,
) -> list[Epoch]:
    """Train ``body`` in place; what each epoch came to, also told to ``on_epoch`` as it ends; ``on_step`` is called
    before each step, and may end training by what it raises.

    With ``config.patience`` training stops that many epochs after the lowest validation loss and goes back to its
    weights; without it all epochs are trained and the last weights stay. Raises `Diverged`.
    """
    device = train.inputs.device
    batches = _batches(len(train.inputs), config)
    patience = Patience(body, config.patience - 1, tolerance=_TOLERANCE, keep=bool(config.patience))
    history: list[Epoch] = []
    began_s = time.perf_counter()

    def ended(number: int, train_loss: float) -> bool:
        nonlocal began_s
        _check(train_loss, "loss", number, config)
        loss, score = _judge(body, validation, objective)
        _check(loss, "validation loss", number, config)
        now_s = time.perf_counter()
        history.append(Epoch(number, train_loss, loss, score, now_s - began_s))
        began_s = now_s
        on_epoch(history[-1])
        patience.saw(-loss)
        return bool(config.patience) and patience.exhausted

    with flattened(body) as flat, threads_for(body, config.batch_size):
        loop.run(
            train,
            gradient.of(body, flat, objective.loss, half=half_precision_pays(device, body)),
            _step(flat, config, config.epochs * batches, on_step),
            passes=(
                torch.randperm(len(train.inputs), device=device).tensor_split(batches) for _ in range(config.epochs)
            ),
            change=augment,
            ended=ended,
        )
    patience.restore()
    body.eval()
    return history


def kept(history: Sequence[Epoch], config: Config) -> Epoch:
    """The epoch whose weights stayed."""
    return min(history, key=lambda epoch: epoch.validation_loss) if config.patience else history[-1]


def _check(loss: float, what: str, epoch: int, config: Config) -> None:
    if not math.isfinite(loss):
        raise Diverged(
            f"the {what} is {loss} in epoch {epoch}; try a smaller --lr (it is {config.lr:g}), and check the data for "
            "values of very different size"
        )


def _batches(rows: int, config: Config) -> int:
    """How many batches of the same size, give or take one row; of one row alone batch norm has nothing to measure."""
    fewest_rows = 2 if config.batch_norm else 1
    return min(math.ceil(rows / config.batch_size), rows // fewest_rows)


def _step(flat: Flat, config: Config, steps: int, on_step: Callable[[], None]) -> Callable[[], None]:
    """A step of the optimizer, at the rate that its place among all ``steps`` has."""
    optimizer = _optimizer(flat, config)
    rates = map(schedule.one_cycle(config.lr, steps), range(steps))

    def step() -> None:
        on_step()
        rate = next(rates)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    return step


@torch.no_grad()
def _judge(body: nn.Sequential, rows: Rows, objective: Objective) -> tuple[float, float]:
    """Validation loss and score."""
    assert isinstance(rows.inputs, Tensor)  # noqa: S101 - the command line's rows are dense
    body.eval()
    outputs = torch.cat([body(part) for part in torch.split(rows.inputs, _CHUNK_ROWS)])
    loss = gradient.mean(objective.validation_loss(outputs, rows.targets), rows.weights)
    return loss.item(), objective.score(outputs, rows.targets).item()


def _optimizer(flat: Flat, config: Config) -> torch.optim.Optimizer:
    """Weights decay, biases and batch norms do not."""
    matrices, vectors = slice(flat.matrices), slice(flat.matrices, None)
    groups: list[dict[str, Any]] = []
    for part, decay in ((matrices, config.weight_decay), (vectors, 0.0)):
        values = nn.Parameter(flat.values[part])
        values.grad = flat.gradients[part]
        groups.append({"params": [values], "weight_decay": decay})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, fused=True)


def half_precision_pays(device: torch.device, body: nn.Sequential) -> bool:
    """bfloat16 halves the time of large products, where the processor multiplies it; of small ones it adds to it."""
    largest = max(parameter.numel() for parameter in body.parameters())
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:
        able = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    large = largest >= _LARGE or any(isinstance(layer, nn.Conv2d) for layer in body)
    return able and large
