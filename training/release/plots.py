"""The pictures of the card, each as the bytes of a PNG file."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.engine.trainer import Epoch
from training.release import evaluate

INK: Final = "#0b7285"
CONTRAST: Final = "#e8590c"
FAINT: Final = "#adb5bd"
_TEXT: Final[dict[Any, Any]] = {"font.size": 9, "text.parse_math": False}  # a label may be "$5 to $9"
STYLE: Final[dict[Any, Any]] = _TEXT | {"axes.spines.top": False, "axes.spines.right": False}
_LABEL_CHARS: Final = 24


def learning(history: Sequence[Epoch], score_name: str) -> bytes:
    """Losses by epoch, and the validation score if there were validation rows."""
    validated = not all(math.isnan(epoch.validation_loss) for epoch in history)
    with mpl.rc_context(STYLE):
        figure = Figure((8, 3) if validated else (4, 3), layout="constrained")
        losses, *scores = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
        numbers = [epoch.number for epoch in history]
        losses.plot(numbers, [epoch.train_loss for epoch in history], color=FAINT, label="training")
        if validated:
            losses.plot(numbers, [epoch.validation_loss for epoch in history], color=INK, label="validation")
        losses.set(xlabel="epoch", ylabel="loss")
        losses.legend(frameon=False)
        for axes in scores:
            axes.plot(numbers, [epoch.validation_score for epoch in history], color=INK)
            axes.set(xlabel="epoch", ylabel=f"validation {score_name}")
        return png(figure)


def confusion(
    true: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str], weights: evaluate.Weights = None
) -> bytes:
    """Confusion matrix: the share of each true class that was predicted as each class."""
    classes = np.arange(len(labels))
    counts = evaluate.confusion(true, predicted, len(labels), weights)
    totals = counts.sum(axis=1, keepdims=True)
    matrix = counts / np.where(totals > 0, totals, 1)
    with mpl.rc_context(_TEXT):
        edge = 2.5 + 0.42 * min(len(labels), 40)
        figure = Figure((edge, edge), layout="constrained")
        axes = figure.subplots()
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
        names = [label if len(label) <= _LABEL_CHARS else f"{label[: _LABEL_CHARS - 1]}…" for label in labels]
        axes.set(xticks=classes, yticks=classes, yticklabels=names, xlabel="predicted", ylabel="true")
        axes.set_xticklabels(names, rotation=45, ha="right")
        if len(labels) <= 20:
            for row, column in np.ndindex(matrix.shape):
                share = matrix[row, column]
                if share >= 0.01:
                    colour = "white" if share > 0.5 else "black"
                    axes.text(column, row, f"{share:.0%}"[:-1], ha="center", va="center", color=colour, fontsize=8)
        axes.set_title("% of each true class", fontsize=9)
        return png(figure)


def reliability(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], weights: evaluate.Weights = None
) -> bytes:
    """Reliability diagram: accuracy by predicted probability, above the distribution of that probability."""
    confidence, accuracy, counts = evaluate.reliability(probabilities, labels, weights)
    filled = counts > 0
    with mpl.rc_context(STYLE):
        figure = Figure((4.5, 4.5), layout="constrained")
        axes, shares = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", label="perfectly calibrated")
        sizes = 12 + 240 * counts[filled] / counts.sum()
        axes.scatter(confidence[filled], accuracy[filled], sizes, color=INK, label="measured; size: rows")
        axes.set(ylabel="accuracy", ylim=(0, 1.05))
        axes.legend(frameon=False, loc="upper left")
        shares.bar(
            (np.arange(evaluate.BINS) + 0.5) / evaluate.BINS, counts / counts.sum(), 0.9 / evaluate.BINS, color=FAINT
        )
        shares.set(xlabel="probability of the predicted class", ylabel="share of rows", xlim=(0, 1))
        return png(figure)


def predicted(true: NDArray[np.float32], values: NDArray[np.float32], names: Sequence[str]) -> bytes:
    """Predicted against true values, and the distribution of the residuals, for each target."""
    with mpl.rc_context(STYLE):
        figure = Figure((8, 3.2 * len(names)), layout="constrained")
        for (scatter, residuals), name, x, y in zip(
            figure.subplots(len(names), 2, squeeze=False), names, true.T, values.T, strict=True
        ):
            ends = [min(x.min(), y.min()), max(x.max(), y.max())]
            scatter.plot(ends, ends, color=FAINT, linestyle="--")
            scatter.scatter(x, y, s=8, color=INK, alpha=0.5, linewidths=0)
            scatter.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
            residuals.hist(y.astype(np.float64) - x, bins=40, color=INK)
            residuals.axvline(0, color=CONTRAST, linewidth=1)
            residuals.set(xlabel="predicted - true", ylabel="test rows")
        return png(figure)


def image(pixels: NDArray[Any]) -> bytes:
    """Pixels (height, width) as a grey picture, enlarged eight times."""
    enlarged = np.kron(pixels.astype(np.float64), np.ones((8, 8)))
    file = io.BytesIO()
    mpl.image.imsave(file, enlarged, cmap="gray", format="png", metadata={"Software": ""})
    return file.getvalue()


def png(figure: Figure) -> bytes:
    """The PNG file of ``figure``."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # labels may be in any script
        # Without matplotlib's version in it, the same figure gives the same bytes.
        figure.savefig(file, format="png", dpi=110, metadata={"Software": ""})
    return file.getvalue()
