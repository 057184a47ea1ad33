"""The card's pictures of a search, each as the bytes of a PNG file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from training.release.figure import CONTRAST, FAINT, INK, STYLE, png
from training.release.search_result import SearchResult, Trial

_COLUMNS: Final = 4
_WIDE: Final = 100  # ratio of the largest to the smallest value, from which on there is a label a decade


def history(result: SearchResult) -> bytes:
    """Validation loss by trial, and the best so far."""
    complete, pruned = _split(result)
    with mpl.rc_context(STYLE):
        figure = Figure((8, 3), layout="constrained")
        axes = figure.subplots()
        if pruned:
            axes.scatter(*_points(pruned), s=14, color=FAINT, label="ended early: loss so far")
        axes.scatter(*_points(complete), s=18, color=INK, label="trial")
        numbers, losses = _points(complete)
        axes.step(numbers, np.minimum.accumulate(losses), where="post", color=INK, linewidth=1, label="best so far")
        if result.default is not None and result.default.validation_loss is not None:
            axes.axhline(result.default.validation_loss, color=FAINT, linestyle="--", label="default settings")
        axes.scatter(*_points([result.best]), s=70, facecolors="none", edgecolors=CONTRAST, label="best")
        axes.set(xlabel="trial", ylabel="validation loss")
        _limit(axes, result)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        return png(figure)


def importances(result: SearchResult) -> bytes:
    """How much each parameter mattered for being among the good trials."""
    names = list(result.importances)[::-1]
    with mpl.rc_context(STYLE):
        figure = Figure((5, 0.7 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots()
        axes.barh(names, [result.importances[name] for name in names], color=INK)
        axes.set(xlabel="importance", xlim=(0, 1))
        return png(figure)


def slices(result: SearchResult) -> bytes:
    """Validation loss by the value of each parameter."""
    names = list(result.best.settings)
    rows = math.ceil(len(names) / _COLUMNS)
    complete, pruned = _split(result)
    with mpl.rc_context(STYLE):
        figure = Figure((10, 2.4 * rows), layout="constrained")
        panels = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True).flat
        for name, axes in zip(names, panels, strict=False):  # in this order, no further panel is taken
            values = _axis(axes, name, result)
            for trials, colour, size in ((pruned, FAINT, 10), (complete, INK, 14)):
                losses = [trial.validation_loss for trial in trials]
                axes.scatter([values(trial) for trial in trials], losses, s=size, color=colour)
            axes.scatter(
                [values(result.best)], [result.best.validation_loss], s=70, facecolors="none", edgecolors=CONTRAST
            )
            axes.set_xlabel(name)
            _limit(axes, result)
        for axes in panels:
            axes.set_axis_off()
        figure.supylabel("validation loss", fontsize=9)
        return png(figure)


def _split(result: SearchResult) -> tuple[list[Trial], list[Trial]]:
    """The complete trials, and the pruned ones with a loss."""
    known = [trial for trial in result.trials if trial.validation_loss is not None]
    return [each for each in known if each.state == "complete"], [each for each in known if each.state == "pruned"]


def _points(trials: list[Trial]) -> tuple[list[int], list[Any]]:
    return [trial.number for trial in trials], [trial.validation_loss for trial in trials]


def _limit(axes: Axes, result: SearchResult) -> None:
    """Show the losses up to a little above the default's or the median: a few trials may be far worse."""
    losses = np.array([trial.validation_loss for trial in result.trials if trial.validation_loss is not None])
    low, default = losses.min(), result.default and result.default.validation_loss
    high = max(np.quantile(losses, 0.75), default or -math.inf)
    margin = 0.25 * (high - low) or 1e-3
    axes.set_ylim(low - 0.4 * margin, high + margin)


def _axis(axes: Axes, name: str, result: SearchResult) -> Callable[[Trial], Any]:
    """Prepare the axis of a parameter; return a function from a trial to its place on it."""
    if name in result.choices:
        choices = list(result.choices[name])
        axes.set_xticks(range(len(choices)), [str(value) for value in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
        return lambda trial: choices.index(trial.settings[name])
    if name in result.logarithmic:
        axes.set_xscale("log")
        values = [trial.settings[name] for trial in result.trials]
        wide = max(values) > _WIDE * min(values)
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 3)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter("")
    return lambda trial: trial.settings[name]
