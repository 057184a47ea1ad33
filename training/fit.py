"""The training loop: the whole set in memory, one gather a batch, best weights kept where training may stop early."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from training.augment import Augment
from training.config import Config
from training.errors import Diverged
from training.objective import Objective


class Rows(NamedTuple):
    """Prepared ``inputs`` float32 (rows, width) and their ``targets``, on the device they are trained on."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training rows came to. The training loss is the mean over its steps, as trained on."""

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
) -> list[Epoch]:
    """Train ``body`` in place; what each epoch came to, also told to ``on_epoch`` as it ends.

    With ``config.patience`` training stops that many epochs after the lowest validation loss and goes back to its
    weights; without it all epochs are trained and the last weights stay. Raises `Diverged`.
    """
    steps = math.ceil(len(train.inputs) / config.batch_size)
    optimizer = _optimizer(body, config)
    schedule = OneCycleLR(optimizer, config.lr, total_steps=config.epochs * steps, cycle_momentum=False)
    half = _half_precision_pays(train.inputs.device, body)
    history: list[Epoch] = []
    best, best_weights = math.inf, copy.deepcopy(body.state_dict())
    waited = 0
    for number in range(1, config.epochs + 1):
        started_s = time.perf_counter()
        train_loss = _train(body, train, objective, optimizer, schedule, steps, augment, half=half)
        if not math.isfinite(train_loss):
            raise Diverged(
                f"the loss is {train_loss} in epoch {number}; try a smaller --lr (it is {config.lr:g}), and check the "
                "data for values of very different size"
            )
        validation_loss, score = _judge(body, validation, objective)
        history.append(Epoch(number, train_loss, validation_loss, score, time.perf_counter() - started_s))
        on_epoch(history[-1])
        if not config.patience:
            continue
        waited += 1
        if validation_loss < best:
            best, best_weights, waited = validation_loss, copy.deepcopy(body.state_dict()), 0
        if waited >= config.patience:
            break
    if config.patience:
        body.load_state_dict(best_weights)
    body.eval()
    return history


def _train(
    body: nn.Sequential,
    rows: Rows,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    schedule: OneCycleLR,
    steps: int,
    augment: Augment | None,
    *,
    half: bool,
) -> float:
    """One pass in a new order, in ``steps`` batches of the same size, give or take one row; the mean loss."""
    body.train()
    device = rows.inputs.device
    total = torch.zeros((), device=device)
    for batch in torch.randperm(len(rows.inputs), device=device).tensor_split(steps):
        inputs, targets = rows.inputs.index_select(0, batch), rows.targets.index_select(0, batch)
        if augment is not None:
            inputs = augment(inputs)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = body(inputs)
        loss = objective.loss(outputs.float(), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        total += loss.detach()
    return total.item() / steps


@torch.no_grad()
def _judge(body: nn.Sequential, rows: Rows, objective: Objective) -> tuple[float, float]:
    """Validation loss and score."""
    body.eval()
    outputs = body(rows.inputs)
    return objective.validation_loss(outputs, rows.targets).item(), objective.score(outputs, rows.targets).item()


def _optimizer(body: nn.Sequential, config: Config) -> torch.optim.Optimizer:
    """Weights decay, biases and batch norms do not."""
    matrices = [parameter for parameter in body.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in body.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.lr, fused=True)


def _half_precision_pays(device: torch.device, body: nn.Sequential) -> bool:
    """bfloat16 halves the time of large products, where the processor multiplies it; of small ones it adds to it."""
    largest = max(parameter.numel() for parameter in body.parameters())
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:
        able = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return able and largest >= 2**17
