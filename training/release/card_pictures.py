"""The pictures of the card, and the Markdown that shows and explains each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.importance import Importance
from training.data.dataset import Dataset
from training.release.card_scores import NAMES, shown
from training.release.evaluate import Weights
from training.release.markdown import text
from training.release.training_run import Candidate, TrainingRun

LEARNING: Final = "learning.png"
MAX_CONFUSED: Final = 1000  # classes: a matrix of more is no picture, and takes gigabytes
CONFUSION: Final = "confusion.png"
RELIABILITY: Final = "reliability.png"
MISTAKES: Final = "mistakes.png"
PREDICTED: Final = "predicted.png"
IMPORTANCE: Final = "importance.png"
EXAMPLE: Final = "example.png"

MAX_MISTAKES: Final = 12
_MAX_BARS: Final = 20
_NAMED: Final = 3


@dataclass(slots=True)
class Drawn:
    """Pictures by file name, and the Markdown of each part of the card that shows some; empty without any."""

    files: dict[str, bytes] = field(default_factory=dict)
    learning: str = ""
    errors: str = ""
    importance: str = ""
    example: str = ""

    def show(self, name: str, content: bytes, alt: str) -> str:
        """Keep a picture, and return the Markdown that shows it."""
        self.files[name] = content
        return f"![{alt}]({name})"


def draw(candidate: Candidate, example: int) -> Drawn:
    """Draw what suits the data: ``example`` is the index of the example among the test rows."""
    from training.release import plots  # noqa: PLC0415 - matplotlib takes half a second

    run, drawn = candidate.run, Drawn()
    score = "accuracy" if run.dataset.classifies else "R²"
    learning = plots.learning(run.history, score, run.best_epoch.number)
    drawn.learning = drawn.show(LEARNING, learning, f"learning curve: loss and {score} by epoch")
    if run.dataset.classifies:
        errors = of_classes(candidate.outputs, run.test_targets, run.test_inputs, run.dataset, run.test_weights)
    else:
        errors = _of_numbers(candidate)
    drawn.errors = errors.errors
    drawn.files |= errors.files
    if candidate.importance is not None:
        drawn.importance = _importance(candidate.importance, run, drawn)
    if len(run.dataset.shape) == 2:
        picture = plots.image(run.test_inputs[example].reshape(run.dataset.shape))
        drawn.example = drawn.show(EXAMPLE, picture, "the example")
    return drawn


def of_classes(
    outputs: Sequence[NDArray[Any]], true: NDArray[np.int64], inputs: NDArray[Any], dataset: Dataset, weights: Weights
) -> Drawn:
    """The errors of classes: confusion, reliability, and for images the most confident mistakes.

    ``outputs`` are probabilities (rows, classes) and predictions (rows,) for ``inputs`` (rows, features) of the classes
    ``true`` (rows,).
    """
    from training.release import class_plots  # noqa: PLC0415

    drawn, (probabilities, prediction) = Drawn(), outputs
    reliability = class_plots.reliability(probabilities, true, weights)
    parts = []
    if len(dataset.labels) <= MAX_CONFUSED:
        confusion = class_plots.confusion(true, prediction, dataset.class_names, weights)
        parts += [
            "Each row of the confusion matrix is a true class: its cells say what share of its test rows was predicted "
            "as which class. Cells off the diagonal are errors.",
            drawn.show(CONFUSION, confusion, "confusion matrix: the share of each true class predicted as each class"),
        ]
    parts += [
        "The reliability diagram says whether probabilities can be believed: of the rows predicted with a probability "
        "of 80 %, about 80 % should be right. Small dots stand for few rows, and are uncertain.",
        drawn.show(RELIABILITY, reliability, "reliability diagram: accuracy by predicted probability"),
    ]
    if len(dataset.shape) == 2:
        parts += _mistakes(outputs, true, inputs, dataset, drawn)
    drawn.errors = "\n\n".join(parts)
    return drawn


def _mistakes(
    outputs: Sequence[NDArray[Any]], true: NDArray[np.int64], inputs: NDArray[Any], dataset: Dataset, drawn: Drawn
) -> list[str]:
    probabilities, prediction = outputs
    wrong = most_confident(probabilities, prediction, true)
    if not len(wrong):
        return ["No test image was classified wrongly."]
    from training.release import class_plots  # noqa: PLC0415

    names, first = dataset.class_names, wrong[:MAX_MISTAKES]
    captions = [(names[prediction[row]], float(probabilities[row].max()), names[true[row]]) for row in first]
    picture = class_plots.mistakes(inputs[first].reshape(-1, *dataset.shape), captions)
    which = "the mistakes" if len(wrong) == len(first) else f"the {len(first)} of {len(wrong):,} mistakes"
    return [
        f"These are {which} on the test images that were made with the highest probability: look whether their labels "
        "are right, and what the training images lack.",
        drawn.show(MISTAKES, picture, "the test images that were wrong with the highest probability"),
    ]


def _of_numbers(candidate: Candidate) -> Drawn:
    from training.release import plots  # noqa: PLC0415

    run, drawn = candidate.run, Drawn()
    picture = plots.predicted(run.test_targets, candidate.outputs[0], run.dataset.target_names)
    drawn.errors = (
        "On the dashed line, a prediction is exactly right. The histogram shows the residuals, which should lie around "
        f"0 on both sides.\n\n{drawn.show(PREDICTED, picture, 'predicted against true values, and residuals')}"
    )
    return drawn


def most_confident(
    probabilities: NDArray[np.float32], prediction: NDArray[np.int64], true: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The rows whose ``prediction`` is not ``true``, both (rows,): those with the highest probability first."""
    wrong = np.flatnonzero(prediction != true)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def _importance(found: Importance, run: TrainingRun, drawn: Drawn) -> str:
    from training.release import plots  # noqa: PLC0415

    verb = "falls" if found.metric == "r2" else "grows"
    target = run.dataset.target_names[0]
    plain, of_target = ("", "") if found.metric != "mae" else (f" of {target}", f" of {text(target)}")
    picture = plots.importance(found.features[:_MAX_BARS], f"how much the {NAMES[found.metric]}{plain} {verb}")
    best = ", ".join(f"{text(each.name)} {shown(found.metric, each.mean)}" for each in found.features[:_NAMED])
    measured, columns = len(found.features), len(run.dataset.columns)
    more = (
        ""
        if measured == columns
        else f" Of {columns:,} features, the {measured} that move the predictions most were tried."
    )
    more += "" if measured <= _MAX_BARS else f" The picture has the first {_MAX_BARS}; `metadata.json` has all."
    return (
        f"How much the {NAMES[found.metric]}{of_target} {verb} when the values of a feature are shuffled among the "
        f"test rows, so that the network cannot use it: mean and standard deviation of {found.repeats} shuffles of "
        f"{found.rows:,} rows. As they are, it is {shown(found.metric, found.score)}. Features that say nearly the "
        "same share their importance: each looks less important than both together."
        f"{more}\n\n{drawn.show(IMPORTANCE, picture, f'feature importance: {best}')}"
    )
