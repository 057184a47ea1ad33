"""The optimizer of a run, with the learning rate of the one-cycle schedule at each step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from training.config import Config
from training.engine import schedule
from training.engine.flat_parameters import FlatParameters


class ScheduledOptimizer:
    """The optimizer of ``config``, for ``config.epochs`` times ``steps_per_epoch`` steps."""

    def __init__(self, flat: FlatParameters, config: Config, steps_per_epoch: int) -> None:
        self._optimizer = _optimizer(flat, config)
        self._rate = schedule.one_cycle(config.lr, config.epochs * steps_per_epoch)
        self._steps = 0

    def step(self) -> None:
        """Change the parameters by their gradients."""
        rate = self._rate(self._steps)
        self._steps += 1
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()

    def state(self) -> dict[str, Any]:
        """What `load` goes on from."""
        return {"steps": self._steps, "optimizer": self._optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self._steps = state["steps"]
        self._optimizer.load_state_dict(state["optimizer"])


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
