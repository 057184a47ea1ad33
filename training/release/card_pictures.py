"""The pictures of the card, and the Markdown that shows and explains each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.importance import Importance
from training.release.card_scores import NAMES, shown
from training.release.markdown import text
from training.release.training_run import Candidate, TrainingRun

LEARNING: Final = "learning.png"
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
    drawn.errors = "\n\n".join(
        [*_classified(candidate, drawn), *_mistakes(candidate, drawn)]
        if run.dataset.classifies
        else _predicted(candidate, drawn)
    )
    if candidate.importance is not None:
        drawn.importance = _importance(candidate.importance, run, drawn)
    if len(run.dataset.shape) == 2:
        picture = plots.image(run.test_inputs[example].reshape(run.dataset.shape))
        drawn.example = drawn.show(EXAMPLE, picture, "the example")
    return drawn


def _classified(candidate: Candidate, drawn: Drawn) -> list[str]:
    from training.release import class_plots  # noqa: PLC0415

    run, (probabilities, prediction) = candidate.run, candidate.outputs
    confusion = class_plots.confusion(run.test_targets, prediction, run.dataset.class_names, run.test_weights)
    reliability = class_plots.reliability(probabilities, run.test_targets, run.test_weights)
    return [
        "Each row of the confusion matrix is a true class: its cells say what share of its test rows was predicted as "
        "which class. Cells off the diagonal are errors.",
        drawn.show(CONFUSION, confusion, "confusion matrix: the share of each true class predicted as each class"),
        "The reliability diagram says whether probabilities can be believed: of the rows predicted with a probability "
        "of 80 %, about 80 % should be right. Small dots are few rows, and so uncertain.",
        drawn.show(RELIABILITY, reliability, "reliability diagram: accuracy by predicted probability"),
    ]


def _predicted(candidate: Candidate, drawn: Drawn) -> list[str]:
    from training.release import plots  # noqa: PLC0415

    run = candidate.run
    picture = plots.predicted(run.test_targets, candidate.outputs[0], run.dataset.target_names)
    return [
        "On the dashed line, a prediction is exactly right. The histogram shows the residuals, which should lie around "
        "0 on both sides.",
        drawn.show(PREDICTED, picture, "predicted against true values, and residuals"),
    ]


def _mistakes(candidate: Candidate, drawn: Drawn) -> list[str]:
    """For images, the test rows that were wrong with the highest probability."""
    run, (probabilities, prediction) = candidate.run, candidate.outputs
    if len(run.dataset.shape) != 2:
        return []
    wrong = most_confident(probabilities, prediction, run.test_targets)
    if not len(wrong):
        return ["No test image was classified wrongly."]
    from training.release import class_plots  # noqa: PLC0415

    names = run.dataset.class_names
    captions = [
        (names[prediction[row]], float(probabilities[row].max()), names[run.test_targets[row]])
        for row in wrong[:MAX_MISTAKES]
    ]
    images = run.test_inputs[wrong[:MAX_MISTAKES]].reshape(-1, *run.dataset.shape)
    return [
        mistakes_text(len(wrong)),
        drawn.show(MISTAKES, class_plots.mistakes(images, captions), "confident mistakes"),
    ]


def most_confident(
    probabilities: NDArray[np.float32], prediction: NDArray[np.int64], true: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The rows whose ``prediction`` is not ``true``, both (rows,): those with the highest probability first."""
    wrong = np.flatnonzero(prediction != true)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def mistakes_text(count: int) -> str:
    """What the picture of the most confident of ``count`` mistakes shows."""
    which = f"These are the {MAX_MISTAKES} of {count:,} mistakes" if count > MAX_MISTAKES else "These are the mistakes"
    return (
        f"{which} among the test images that were made with the highest probability: look whether their labels are "
        "right, and what the training images lack."
    )


def _importance(found: Importance, run: TrainingRun, drawn: Drawn) -> str:
    from training.release import plots  # noqa: PLC0415

    verb = "falls" if found.metric == "r2" else "grows"
    target = run.dataset.target_names[0]
    plain, of_target = ("", "") if found.metric != "mae" else (f" of {target}", f" of {text(target)}")
    picture = plots.importance(found.features[:_MAX_BARS], f"how much the {NAMES[found.metric]}{plain} {verb}")
    best = ", ".join(f"{text(each.name)} {shown(found.metric, each.mean)}" for each in found.features[:_NAMED])
    left = len(run.dataset.columns) - min(len(found.features), _MAX_BARS)
    more = f" The other {left:,} features matter less; the first {len(found.features)} are in `metadata.json`."
    return (
        f"How much the {NAMES[found.metric]}{of_target} {verb} when the values of a feature are shuffled among the "
        f"test rows, so that the network cannot use it: mean and standard deviation of {found.repeats} shuffles of "
        f"{found.rows:,} rows. As they are, it is {shown(found.metric, found.score)}. Features that say nearly the "
        "same share their importance: each looks less important than both together."
        f"{more if left else ''}\n\n{drawn.show(IMPORTANCE, picture, f'feature importance: {best}')}"
    )
