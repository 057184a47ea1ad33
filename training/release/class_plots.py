"""The card's pictures of classes, each as the bytes of a PNG file: confusion, reliability, confident mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.release import evaluate
from training.release.figure import CONTRAST, FAINT, INK, STYLE, TEXT, png, shorten

_LABEL_CHARS: Final = 24
_CAPTION_CHARS: Final = 20
_SHORT_CHARS: Final = 3
_SLANTED: Final[dict[str, Any]] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
_MAX_NUMBERED: Final = 20  # classes whose cells have room for numbers
_MAX_TICKS: Final = 60
_COLUMNS: Final = 4


def confusion(
    true: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str], weights: evaluate.Weights = None
) -> bytes:
    """Confusion matrix: the share of each true class that was predicted as each class."""
    counts = evaluate.confusion(true, predicted, len(labels), weights)
    totals = counts.sum(axis=1, keepdims=True)
    matrix = counts / np.where(totals > 0, totals, 1)
    with mpl.rc_context(TEXT):
        numbered = len(labels) <= _MAX_NUMBERED
        edge = 2.5 + 0.42 * min(len(labels), _MAX_NUMBERED)
        figure = Figure((edge if numbered else edge + 1, edge), layout="constrained")
        axes = figure.subplots()
        # Without numbers, small shares have to be seen.
        shades = axes.imshow(matrix * 100, cmap="Blues", norm=PowerNorm(1 if numbered else 0.4, 0, 100))
        named = range(0, len(labels), math.ceil(len(labels) / _MAX_TICKS))
        names = [shorten(labels[index], _LABEL_CHARS) for index in named]
        slanted = max(map(len, names)) > _SHORT_CHARS
        axes.set_xticks(named, names, **(_SLANTED if slanted else {}))
        axes.set_yticks(named, names)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.set_title("% of the rows of each true class", fontsize=9)
        if numbered:
            _write_shares(axes, matrix)
        else:
            figure.colorbar(shades, shrink=0.6, ticks=(0, 1, 5, 20, 50, 100))
        return png(figure)


def _write_shares(axes: Axes, matrix: NDArray[np.float64]) -> None:
    """Write percentages into the cells, but those that would be 0."""
    for row, column in np.ndindex(matrix.shape):
        share = matrix[row, column]
        percent = f"{share * 100:.0f}"
        if percent != "0":
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, percent, ha="center", va="center", color=colour, fontsize=8)


def reliability(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: evaluate.Weights = None
) -> bytes:
    """Reliability diagram: accuracy by predicted probability, above the distribution of that probability."""
    confidence, accuracy, counts = evaluate.reliability(probabilities, labels, weights)
    filled = counts > 0
    with mpl.rc_context(STYLE):
        figure = Figure((4.5, 4.8), layout="constrained")
        axes, shares = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
        axes.plot([0, 100], [0, 100], color=CONTRAST, linestyle="--", linewidth=1, label="as right as sure")
        sizes = 12 + 240 * counts[filled] / counts.sum()
        axes.scatter(confidence[filled] * 100, accuracy[filled] * 100, sizes, color=INK, label="measured; size: rows")
        for x, y, words in ((4, 90, "too cautious"), (96, 8, "too sure")):
            axes.text(x, y, words, color=FAINT, ha="left" if x < 50 else "right", fontsize=8)
        axes.set(ylabel="% that are right", ylim=(-4, 104))
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
        middles = (np.arange(evaluate.BINS) + 0.5) / evaluate.BINS * 100
        shares.bar(middles, counts / counts.sum() * 100, 90 / evaluate.BINS, color=INK)
        shares.set(xlabel="probability of the predicted class, %", ylabel="% of rows", xlim=(0, 102))
        return png(figure)


def mistakes(images: NDArray[Any], captions: Sequence[tuple[str, float, str]]) -> bytes:
    """A grid of ``images`` (images, height, width); captions are the predicted class, its probability, the true one."""
    columns = min(_COLUMNS, len(images))
    rows = math.ceil(len(images) / columns)
    with mpl.rc_context(TEXT):
        figure = Figure((2 * columns, 2.3 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.axis("off")
        for axes, pixels, (predicted, probability, true) in zip(grid, images, captions, strict=False):
            axes.imshow(pixels, cmap="gray", interpolation="nearest")
            first, second = (shorten(name, _CAPTION_CHARS) for name in (predicted, true))
            axes.set_title(f"{first}, {_percent(probability)}\nin truth: {second}", fontsize=8)
        return png(figure)


def _percent(probability: float) -> str:
    return ">99.9 %" if probability >= 0.9995 else f"{probability * 100:.1f} %"
