"""One epoch: the order of operations for each batch, and the mean loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.engine.loop import Rows, train_epoch

ROWS = Rows(torch.arange(10.0).view(5, 2), torch.arange(5), torch.tensor([1.0, 2, 3, 4, 5]))
BATCHES = [ROWS.take(torch.tensor(index)) for index in ([4, 0, 2], [1, 3])]


def test_each_batch_is_augmented_and_stepped_in_order() -> None:
    calls: list[object] = []

    def augment(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(("augment", inputs.tolist(), targets.tolist()))
        return -inputs, targets + 1

    def gradient(inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        assert weights is not None
        calls.append(("gradient", inputs.tolist(), targets.tolist(), weights.tolist()))
        return torch.tensor(0.0)

    train_epoch(
        BATCHES,
        gradient,
        lambda: calls.append("step"),
        augment=augment,
        on_step=lambda: calls.append("on_step"),
    )
    assert calls == [
        ("augment", [[8, 9], [0, 1], [4, 5]], [4, 0, 2]),
        ("gradient", [[-8, -9], [0, -1], [-4, -5]], [5, 1, 3], [5, 1, 3]),
        "on_step",
        "step",
        ("augment", [[2, 3], [6, 7]], [1, 3]),
        ("gradient", [[-2, -3], [-6, -7]], [2, 4], [2, 4]),
        "on_step",
        "step",
    ]


def test_the_loss_is_the_mean_over_the_rows() -> None:
    losses = iter([torch.tensor(1.0), torch.tensor(6.0)])
    assert train_epoch(BATCHES, lambda *_: next(losses), lambda: None) == (3 * 1 + 2 * 6) / 5


def test_an_exception_in_on_step_prevents_the_step() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    steps: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train_epoch(BATCHES, lambda *_: torch.tensor(0.0), lambda: steps.append(1), on_step=interrupt)
    assert not steps
