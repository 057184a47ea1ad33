"""Describe a trained network as text: layers and their sizes, where the time went, scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from training.engine.trainer import Epoch

_UNITS = ("B", "kB", "MB", "GB")


def describe(
    title: str, body: nn.Sequential, history: Sequence[Epoch], best: Epoch, scores: Mapping[str, float], score_name: str
) -> str:
    """Return a table of the layers of ``body`` and lines on training.

    ``best`` is the epoch of ``history`` whose weights ``body`` has. ``scores`` are further scores by name;
    ``score_name`` is what a validation score is.
    """
    rows = [("layer", "shape", "parameters", "size"), *_layers(body)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}" for a, b, c, d in rows]
    return "\n".join([title, *(f"  {line.rstrip()}" for line in lines), *_training(history, best, scores, score_name)])


def _layers(body: nn.Sequential) -> Iterator[tuple[str, str, str, str]]:
    total = size = 0
    for layer in body:
        parameters = list(layer.parameters())
        count = sum(each.numel() for each in parameters)
        layer_size = sum(each.numel() * each.element_size() for each in parameters)
        shape = " → ".join(map(str, reversed(parameters[0].shape))) if parameters and parameters[0].ndim == 2 else ""
        yield type(layer).__name__, shape, f"{count:,}" if count else "", _bytes(layer_size) if count else ""
        total, size = total + count, size + layer_size
    yield "in all", "", f"{total:,}", _bytes(size)


def _training(history: Sequence[Epoch], best: Epoch, scores: Mapping[str, float], score_name: str) -> Iterator[str]:
    total_s = sum(epoch.duration_s for epoch in history)
    yield f"trained {len(history)} epochs in {total_s:.2f} s, {total_s / len(history) * 1000:.1f} ms each on average"
    validated = not math.isnan(best.validation_loss)
    measured = f", validation loss {best.validation_loss:.4f}, {score_name} {best.validation_score:.4f}" * validated
    yield f"has the weights of epoch {best.number}: training loss {best.train_loss:.4f}{measured}"
    if scores:
        yield "test scores: " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def _bytes(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} {_UNITS[-1]}"
