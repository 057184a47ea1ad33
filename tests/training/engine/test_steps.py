"""The gradients of layers by hand, for tables and with batch norm: against autograd's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.training.model.test_features import PLACES
from tests.training.model.test_folded import rows_of
from training.engine import gradient, losses, steps
from training.engine.flat_parameters import FlatParameters
from training.engine.losses import Loss
from training.model import features
from training.model.network import Dropout, perceptron

ROWS = 60


def table_body(activation: str = "relu", dropout: float = 0.0) -> tuple[nn.Sequential, Tensor]:
    """A network that starts with `Features`, and prepared rows for it."""
    inputs = rows_of(PLACES, ROWS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        preparation, first = features.fitted(PLACES, inputs, np.arange(ROWS), 4)
        body = perceptron(first.width, (6, 5), 3, activation, dropout, batch_norm=False)
    body.insert(0, first)
    return body.double(), preparation(torch.from_numpy(inputs)).double()


def gradients(make: Callable[[], tuple[nn.Sequential, Tensor]], loss: Loss) -> tuple[float, Tensor]:
    body, prepared = make()
    flat = FlatParameters(body)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        value = gradient.of(body, flat, loss)(prepared, torch.arange(ROWS) % 3, None)
    return float(value), flat.gradients


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_embeddings_and_dropout_have_autograds_gradient(activation: str, dropout: float) -> None:
    loss = losses.cross_entropy()
    manual = gradients(lambda: table_body(activation, dropout), loss)
    automatic = gradients(lambda: table_body(activation, dropout), Loss(loss.value))
    assert steps.cover(table_body(activation, dropout)[0])
    assert manual[0] == pytest.approx(automatic[0])
    torch.testing.assert_close(manual[1], automatic[1])


def test_gradients_of_embeddings_do_not_add_up_over_batches() -> None:
    body, prepared = table_body()
    flat = FlatParameters(body)
    evaluate = gradient.of(body, flat, losses.cross_entropy())
    targets = torch.arange(ROWS) % 3
    evaluate(prepared, targets, None)
    once = flat.gradients.clone()
    evaluate(prepared, targets, None)
    torch.testing.assert_close(flat.gradients, once)


def test_half_precision_is_close() -> None:
    found = []
    for half in (False, True):
        body, prepared = table_body()
        body.float()
        flat = FlatParameters(body)
        gradient.of(body, flat, losses.cross_entropy(), half=half)(prepared.float(), torch.arange(ROWS) % 3, None)
        found.append(flat.gradients)
    torch.testing.assert_close(found[1], found[0], rtol=0.05, atol=4e-3)


def normed(dtype: torch.dtype = torch.float64) -> tuple[nn.Sequential, Tensor]:
    """A network with batch norms, and rows for it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return perceptron(4, (6, 5), 3, "relu", 0.1, batch_norm=True).to(dtype), torch.randn(ROWS, 4, dtype=dtype)


def test_batch_norms_have_autograds_gradient() -> None:
    loss = losses.cross_entropy()
    manual, automatic = gradients(normed, loss), gradients(normed, Loss(loss.value))
    assert steps.cover(normed()[0])
    assert manual[0] == pytest.approx(automatic[0])
    torch.testing.assert_close(manual[1], automatic[1])


@pytest.mark.parametrize("half", [False, True])
def test_batch_norms_track_what_autograds_would(half: bool) -> None:
    loss = losses.cross_entropy()
    tracked = []
    for each in (loss, Loss(loss.value)):
        body, rows = normed(torch.float32)
        evaluate = gradient.of(body, FlatParameters(body), each, half=half)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            for _ in range(3):
                evaluate(rows, torch.arange(ROWS) % 3, None)
        tracked.append(dict(body.named_buffers()))
    assert tracked[0]["1.num_batches_tracked"] == 3
    tolerance = {"rtol": 0.02, "atol": 2e-3} if half else {}
    torch.testing.assert_close(tracked[0], tracked[1], **tolerance)


def test_half_precision_is_close_with_batch_norms() -> None:
    found = []
    for half in (False, True):
        body, rows = normed(torch.float32)
        flat = FlatParameters(body)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            gradient.of(body, flat, losses.cross_entropy(), half=half)(rows, torch.arange(ROWS) % 3, None)
        found.append(flat.gradients)
    torch.testing.assert_close(found[1], found[0], rtol=0.05, atol=4e-3)


def test_other_layers_are_left_to_autograd() -> None:
    assert not steps.cover(nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 1)))
    assert not steps.cover(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), Dropout(0.1), nn.Linear(2, 1)))
