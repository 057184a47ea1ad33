"""All parameters in one vector, and back in separate memory."""

from __future__ import annotations

import torch

from training.engine.flat_parameters import FlatParameters
from training.model.network import perceptron


def test_matrices_come_first_and_parameters_are_views() -> None:
    body = perceptron(3, (4, 5), 2, "relu", 0.0, batch_norm=True)
    before = [parameter.detach().clone() for parameter in body.parameters()]
    flat = FlatParameters(body)
    for parameter, value in zip(body.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
    assert flat.matrices == 3 * 4 + 4 * 5 + 5 * 2
    flat.values[: flat.matrices] = 1
    flat.values[flat.matrices :] = 2
    flat.gradients.fill_(3)
    for parameter in body.parameters():
        assert (parameter == (1 if parameter.ndim > 1 else 2)).all()
        assert parameter.grad is not None
        assert (parameter.grad == 3).all()


def test_released_parameters_keep_their_values_in_separate_memory() -> None:
    body = perceptron(3, (4,), 2, "relu", 0.0, batch_norm=False)
    flat = FlatParameters(body)
    flat.values.fill_(1)
    flat.release()
    flat.values.zero_()
    for parameter in body.parameters():
        assert (parameter == 1).all()
        assert parameter.grad is None
        assert parameter.untyped_storage().nbytes() == parameter.nbytes
