"""A trained network as text."""

from __future__ import annotations

import math

from torch import nn

from training.engine.trainer import Epoch
from training.run.network_summary import describe

BODY = nn.Sequential(nn.Linear(10, 100), nn.ReLU(), nn.Linear(100, 3))


def test_layers_time_and_scores() -> None:
    history = [Epoch(1, 0.5, 0.4, 0.75, 1.5), Epoch(2, 0.25, 0.5, 0.7, 0.5)]
    assert describe("small", BODY, history, history[0], {"accuracy": 0.8}, "accuracy") == (
        "small\n"
        "  layer   shape     parameters      size\n"
        "  Linear  10 → 100       1,100    4.4 kB\n"
        "  ReLU\n"
        "  Linear  100 → 3          303  1.212 kB\n"
        "  in all                 1,403  5.612 kB\n"
        "trained 2 epochs in 2.00 s, 1000.0 ms each on average\n"
        "has the weights of epoch 1: training loss 0.5000, validation loss 0.4000, accuracy 0.7500\n"
        "test scores: accuracy 0.8000"
    )


def test_without_validation_rows_there_is_no_validation_loss() -> None:
    epoch = Epoch(1, 0.5, math.nan, math.nan, 1.5)
    assert describe("small", BODY, [epoch], epoch, {}, "R²").endswith("weights of epoch 1: training loss 0.5000")
