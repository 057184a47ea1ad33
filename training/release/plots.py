"""The card's pictures of any data, as the bytes of PNG files: learning curve, predictions, importance, example."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from service.importance import FeatureImportance
from training.engine.trainer import Epoch
from training.release.figure import CONTRAST, FAINT, INK, STYLE, few_ticks, png, shorten

_LABEL_CHARS: Final = 32
_AXIS_CHARS: Final = 30
_MAX_POINTS: Final = 3000  # more would be one blot
_MIN_BINS: Final = 8
_MAX_BINS: Final = 40
_FEW: Final = 10  # epochs that are drawn as points too


def learning(history: Sequence[Epoch], score_name: str, kept: int | None = None) -> bytes:
    """Losses by epoch, and the validation score if there were validation rows; ``kept`` is the epoch that is kept."""
    validated = not all(math.isnan(epoch.validation_loss) for epoch in history)
    marker = "o" if len(history) <= _FEW else None
    with mpl.rc_context(STYLE):
        figure = Figure((8, 3) if validated else (4, 3), layout="constrained")
        losses, *scores = panels = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
        numbers = [epoch.number for epoch in history]
        training = [epoch.train_loss for epoch in history]
        losses.plot(numbers, training, color=CONTRAST, linestyle="--", marker=marker, label="training")
        if validated:
            validation = [epoch.validation_loss for epoch in history]
            losses.plot(numbers, validation, color=INK, marker=marker, label="validation")
        losses.set(xlabel="epoch", ylabel="loss (less is better)")
        for axes in scores:
            axes.plot(numbers, [epoch.validation_score for epoch in history], color=INK, marker=marker)
            axes.set(xlabel="epoch", ylabel=f"validation {score_name} (more is better)")
        for axes in panels:
            axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            if kept is not None and len(history) > 1:
                axes.axvline(kept, color=FAINT, linestyle=":", label=f"weights kept, epoch {kept}")
        figure.legend(*losses.get_legend_handles_labels(), frameon=False, loc="outside upper left", ncols=3)
        return png(figure)


def predicted(true: NDArray[np.float64], values: NDArray[Any], names: Sequence[str]) -> bytes:
    """Predicted against true values (rows, targets), and the distribution of the residuals, for each target."""
    drawn = np.random.default_rng(0).permutation(len(true))[:_MAX_POINTS]
    with mpl.rc_context(STYLE):
        figure = Figure((8, 3.4 * len(names)), layout="constrained")
        for (scatter, residuals), full_name, x, y in zip(
            figure.subplots(len(names), 2, squeeze=False), names, true.T, values.T, strict=True
        ):
            name = shorten(full_name, _AXIS_CHARS)
            ends = [min(x.min(), y.min()), max(x.max(), y.max())]
            scatter.plot(ends, ends, color=CONTRAST, linestyle="--", linewidth=1, label="exactly right", zorder=3)
            scatter.scatter(x[drawn], y[drawn], s=12, color=INK, alpha=0.5, linewidths=0)
            scatter.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
            scatter.legend(frameon=False, loc="upper left")
            if len(drawn) < len(true):
                scatter.set_title(f"{len(drawn):,} of {len(true):,} test rows", fontsize=9)
            errors = y.astype(np.float64) - x
            residuals.hist(errors, bins=_bin_edges(errors), color=INK, edgecolor="white", linewidth=0.5)
            residuals.axvline(0, color=CONTRAST, linestyle="--", linewidth=1)
            residuals.set(xlabel=f"predicted minus true {name}", ylabel="test rows")
            residuals.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            few_ticks(scatter)
            few_ticks(residuals, "x")
        return png(figure)


def _bin_edges(errors: NDArray[np.float64]) -> list[float]:
    """Edges of equal bins, also for errors that are all the same, or differ by rounding alone."""
    low, high = float(errors.min()), float(errors.max())
    least = 1e-6 * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        low, high = low - least, high + least
    edges: list[float] = np.linspace(low, high, min(_MAX_BINS, max(_MIN_BINS, math.isqrt(len(errors)))) + 1).tolist()
    return edges


def importance(features: Sequence[FeatureImportance], meaning: str) -> bytes:
    """A bar for each feature, the first at the top, with its standard deviation; ``meaning`` is what a bar says."""
    positions = np.arange(len(features))[::-1]
    means, spreads = ([getattr(each, name) for each in features] for name in ("mean", "std"))
    with mpl.rc_context(STYLE):
        figure = Figure((8, 1 + 0.28 * max(len(features), 3)), layout="constrained")
        axes = figure.subplots()
        axes.barh(positions, means, 0.7, xerr=spreads, color=INK, ecolor=CONTRAST, error_kw={"elinewidth": 1.5})
        axes.axvline(0, color=FAINT, linewidth=1)
        axes.set_yticks(positions, [shorten(each.name, _LABEL_CHARS) for each in features])
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel=meaning if len(meaning) <= 100 else shorten(meaning, 100), ylim=(-0.6, len(features) - 0.4))
        few_ticks(axes, "x", 8)
        return png(figure)


def image(pixels: NDArray[Any]) -> bytes:
    """Pixels (height, width) as a grey picture, enlarged eight times."""
    enlarged = np.kron(pixels.astype(np.float64), np.ones((8, 8)))
    file = io.BytesIO()
    mpl.image.imsave(file, enlarged, cmap="gray", format="png", metadata={"Software": ""})
    return file.getvalue()
