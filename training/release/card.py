"""The model card: README.md with the learning curve, what is confused with what, and how far probabilities hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from sklearn import metrics

from training.data import summary
from training.release import plots
from training.release.evaluate import BINS, regression
from training.release.quantize import Comparison
from training.release.training_run import TrainingRun

README: Final = "README.md"
LEARNING: Final = "learning.png"
CONFUSION: Final = "confusion.png"
RELIABILITY: Final = "reliability.png"
PREDICTED: Final = "predicted.png"
EXAMPLE: Final = "example.png"

_SCORES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "accuracy, mean over the classes",
    "log_loss": "log-loss",
    "ece": f"expected calibration error, {BINS} bins",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
}


def card(
    outcome: TrainingRun, version: int, created: str, commit: str | None, libraries: Mapping[str, str], example: int
) -> dict[str, bytes]:
    """The card and its pictures, by file name. ``example`` is the place of the example among the test rows."""
    dataset = outcome.dataset
    files = {LEARNING: plots.learning(outcome.history, "accuracy" if dataset.classifies else "R²")}
    sections = [_head(outcome, version), _scores(outcome)]
    if dataset.classifies:
        probabilities, prediction = outcome.answers
        files[CONFUSION] = plots.confusion(outcome.test_targets, prediction, dataset.class_names)
        files[RELIABILITY] = plots.reliability(probabilities, outcome.test_targets)
        sections += [_per_class(outcome), "" if outcome.int8 is None else int8(outcome.int8, dataset.class_names)]
        pictures = f"![confusion matrix]({CONFUSION})\n\n![reliability diagram]({RELIABILITY})"
    else:
        sections.append(_per_target(outcome))
        files[PREDICTED] = plots.predicted(outcome.test_targets, outcome.answers[0], dataset.target_names)
        pictures = f"![predicted against true, and what is left over]({PREDICTED})"
    if len(dataset.shape) == 2:
        files[EXAMPLE] = plots.image(outcome.test_inputs[example].reshape(dataset.shape))
    sections += [
        f"## How it learned\n\n![learning curve]({LEARNING})\n\n{_learned(outcome)}",
        f"## Where it errs\n\n{pictures}",
        _columns(outcome),
        _use(outcome, example),
        _provenance(outcome, created, commit, libraries),
    ]
    files[README] = ("\n\n".join(section for section in sections if section) + "\n").encode()
    return files


def _head(outcome: TrainingRun, version: int) -> str:
    dataset, split = outcome.dataset, outcome.split
    layers = " → ".join(
        map(str, (len(dataset.columns), *outcome.hidden, len(dataset.labels) or len(dataset.target_names)))
    )
    what = (
        f"tells {len(dataset.labels)} classes apart ({', '.join(dataset.class_names)})"
        if dataset.classifies
        else f"predicts {', '.join(dataset.target_names)}"
    )
    chosen, either = (f", chosen and calibrated by {len(split.validation):,} others", "either")
    if not len(split.validation):
        chosen, either = ("", "it")
    return (
        f"# {outcome.name}, version {version}\n\n"
        f"A multi-layer perceptron ({layers}, {outcome.activation}) that {what} from "
        f"{len(dataset.columns)} features. Trained on {len(split.train):,} rows of {dataset.name}{chosen}; everything "
        f"below was measured on {len(split.test):,} test rows that had no part in {either}."
    )


def _scores(outcome: TrainingRun) -> str:
    precisions = list(outcome.scores)
    rows = [
        [_SCORES[metric], *(f"{outcome.scores[precision][metric]:.4f}" for precision in precisions)]
        for metric in outcome.scores[precisions[0]]
    ]
    return "## Scores\n\n" + _table(["on the test rows", *precisions], rows)


def _per_class(outcome: TrainingRun) -> str:
    labels = outcome.dataset.class_names
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        outcome.test_targets, outcome.answers[1], labels=np.arange(len(labels)), zero_division=0
    )
    rows = [
        [label, f"{recall[index]:.3f}", f"{precision[index]:.3f}", f"{f1[index]:.3f}", f"{support[index]:,}"]
        for index, label in enumerate(labels)
    ]
    head = ["class", "accuracy (recall)", "precision", "F1", "test rows"]
    return "## Each class\n\n" + _table(head, rows)


def _per_target(outcome: TrainingRun) -> str:
    names = outcome.dataset.target_names
    if len(names) == 1:
        return ""
    scores = [
        regression(values[:, None], true[:, None])
        for values, true in zip(outcome.answers[0].T, outcome.test_targets.T, strict=True)
    ]
    rows = [[name, *(f"{value:.4g}" for value in found.values())] for name, found in zip(names, scores, strict=True)]
    return "## Each target\n\n" + _table(["target", *(_SCORES[metric] for metric in scores[0])], rows)


def _columns(outcome: TrainingRun) -> str:
    dataset = outcome.dataset
    if len(dataset.shape) > 1:
        return ""
    found = summary.statistics(dataset, outcome.split.train)
    notes = "".join(f"\n- {note}" for note in dataset.notes)
    table = _table(summary.HEAD, summary.table(dataset.columns, found), "---")
    return f"## What it takes\n\n{table}" + (f"\n{notes}" if notes else "")


def int8(twin: Comparison, labels: Sequence[str]) -> str:
    """What the card says of the int8 graph, published or not."""
    found, falls = twin.found, twin.found.recall_falls
    verdict = "is published beside it" if twin.fault is None else f"is **not** published: {twin.fault}"
    worst = max(range(len(falls)), key=falls.__getitem__)
    return (
        f"The int8 graph {verdict}. Against fp32, on {found.rows:,} rows of validation and training that its scales "
        f"were not taken from: accuracy {0 - found.accuracy_loss * 100:+.2f} percentage points, log-loss "
        f"{found.log_loss_fp32:.4f} → {found.log_loss_int8:.4f}; {found.labels_changed / found.rows:.2%} of the labels "
        f"differ; the class whose recall suffers most is {labels[worst]}, by {0 - falls[worst] * 100:+.2f} points "
        f"({found.class_lost[worst]} of {found.class_rows[worst]:,} rows lost, {found.class_won[worst]} won); the "
        f"largest change of a probability is {found.max_probability_change:.3f}."
    )


def _learned(outcome: TrainingRun) -> str:
    kept = outcome.kept
    loss = "" if math.isnan(kept.validation_loss) else f", whose validation loss was {kept.validation_loss:.4f}"
    calibrated = "" if outcome.temperature is None else f" Calibration temperature {outcome.temperature:.3f}."
    return (
        f"{len(outcome.history)} epochs in {outcome.fit_s:.0f} s on {outcome.device}, "
        f"{np.median([epoch.duration_s for epoch in outcome.history]):.2f} s an epoch in the median; the weights are "
        f"those of epoch {kept.number}{loss}.{calibrated}{_taught(outcome)}"
    )


def _taught(outcome: TrainingRun) -> str:
    history = outcome.teacher_history
    if not history:
        return ""
    duration_s = sum(epoch.duration_s for epoch in history)
    return (
        "\n\nIt learned less from the labels than from a teacher, a convolutional network that was trained first, on "
        f"the same rows: {len(history)} epochs in {duration_s:.0f} s of that time, after which it was right about "
        f"{history[-1].validation_score:.2%} of the validation rows (this network about "
        f"{outcome.kept.validation_score:.2%}). The training losses are against its probabilities, the "
        "others against the labels: they do not compare."
    )


def _use(outcome: TrainingRun, example: int) -> str:
    dataset = outcome.dataset
    answer = (
        f"the test row in `example.json`, which is *{dataset.class_names[outcome.test_targets[example]]}*"
        if dataset.classifies
        else "the test row in `example.json`"
    )
    picture = f"\n\n![the example]({EXAMPLE})" if len(dataset.shape) == 2 else ""
    return (
        f"## Ask it\n\nWith the server running, send {answer}:\n\n"
        f"    curl localhost:8000/models/{outcome.name}/predict -d @example.json{picture}"
    )


def _provenance(outcome: TrainingRun, created: str, commit: str | None, libraries: Mapping[str, str]) -> str:
    source = outcome.dataset.source
    hashes = source.get("sha256", "")
    digests = hashes.items() if isinstance(hashes, Mapping) else [(outcome.dataset.name, hashes)]
    rows = [
        ["made", f"{created}, by `{outcome.command}`"],
        ["code", commit or "not in a checkout"],
        ["libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())],
        ["data", str(source.get("url", source.get("from", source.get("name", outcome.dataset.name))))],
        *([f"SHA-256 of {name}", f"`{digest}`"] for name, digest in digests),
        ["seed", "none" if outcome.seed is None else str(outcome.seed)],
        ["ONNX Runtime against torch", ", ".join(f"{name} {value:g}" for name, value in outcome.parity.items())],
    ]
    return "## Where it comes from\n\n" + _table(["", ""], rows, "---")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], cells: str = "--:") -> str:
    """Markdown; ``cells`` aligns the columns from the second on."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"

    rule = ["---", *[cells] * (len(head) - 1)]
    return "\n".join(line(cells) for cells in (head, rule, *rows))
