"""The model card: README.md with scores, learning curve, errors, features and provenance, and its pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from training.data import summary
from training.data.dataset import Dataset
from training.model.features import Features
from training.release import search_section, unseen_values
from training.release.evaluate import BINS, by_class, regression
from training.release.quantize import Comparison
from training.release.thresholds import Threshold
from training.release.training_run import Candidate, TrainingRun

README: Final = "README.md"
LEARNING: Final = "learning.png"
CONFUSION: Final = "confusion.png"
RELIABILITY: Final = "reliability.png"
PREDICTED: Final = "predicted.png"
EXAMPLE: Final = "example.png"

_SCORES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log-loss",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "ece": f"expected calibration error, {BINS} bins",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
}


def card(
    candidate: Candidate, version: int, created: str, commit: str | None, libraries: Mapping[str, str], example: int
) -> dict[str, bytes]:
    """The card and its pictures by file name; ``example`` is the index of the example among the test rows."""
    from training.release import plots  # noqa: PLC0415 - matplotlib takes half a second

    run = candidate.run
    dataset = run.dataset
    files = {LEARNING: plots.learning(run.history, "accuracy" if dataset.classifies else "R²")}
    sections = [_head(run, version), _scores(candidate), _thresholds(candidate)]
    if dataset.classifies:
        probabilities, prediction = candidate.outputs
        files[CONFUSION] = plots.confusion(run.test_targets, prediction, dataset.class_names, run.test_weights)
        files[RELIABILITY] = plots.reliability(probabilities, run.test_targets, run.test_weights)
        sections += [_per_class(candidate), _int8(candidate)]
        pictures = f"![confusion matrix]({CONFUSION})\n\n![reliability diagram]({RELIABILITY})"
    else:
        sections.append(_per_target(candidate))
        files[PREDICTED] = plots.predicted(run.test_targets, candidate.outputs[0], dataset.target_names)
        pictures = f"![predicted against true values, and residuals]({PREDICTED})"
    if run.search is not None:
        files |= search_section.pictures(run.search)
    if len(dataset.shape) == 2:
        files[EXAMPLE] = plots.image(run.test_inputs[example].reshape(dataset.shape))
    sections += [
        _compared(candidate),
        f"## Training\n\n![learning curve]({LEARNING})\n\n{_training(run)}",
        "" if run.search is None else search_section.section(run.search),
        f"## Errors\n\n{pictures}",
        _features(run),
        _usage(run, example),
        _provenance(candidate, created, commit, libraries),
    ]
    files[README] = ("\n\n".join(section for section in sections if section) + "\n").encode()
    return files


def _head(run: TrainingRun, version: int) -> str:
    dataset, split = run.dataset, run.split
    sizes = (len(dataset.columns), *run.hidden, len(dataset.labels) or len(dataset.target_names))
    features = f"{len(dataset.columns)} features"
    shape = " → ".join(map(str, sizes))
    network = (
        f"A multi-layer perceptron ({shape}, {run.activation})"
        if run.members == 1
        else f"An ensemble of {run.members} multi-layer perceptrons ({shape} each, {run.activation}) in one graph"
    )
    task = (
        f"classifies rows of {features} into {len(dataset.labels)} classes ({', '.join(dataset.class_names)})"
        if dataset.classifies
        else f"predicts {', '.join(dataset.target_names)} from {features}"
    )
    layer = run.network.body[0]
    encoding = f"{layer.description} ".lstrip() if isinstance(layer, Features) else ""
    use = "validation" if run.temperature is None else "validation and calibration"
    validation = f"; {len(split.validation):,} other rows were used for {use}" if len(split.validation) else ""
    return (
        f"# {run.name}, version {version}\n\n"
        f"{network} that {task}. "
        f"{encoding}Trained on {len(split.train):,} rows of {dataset.name}{validation}. Scores and errors are for "
        f"{len(split.test):,} held-out test rows.{_division(run)}"
    )


def _division(run: TrainingRun) -> str:
    """How the rows were divided and weighted, if that is known."""
    ways = list(run.split.how.items())
    parts = [f"the {name} rows are {how}" for name, how in ways]
    if len({how for _, how in ways}) == 1:
        parts = [f"the {' and '.join(name for name, _ in ways)} rows are {ways[0][1]}"]
    weight = run.dataset.source.get("weight")
    if weight is not None:
        parts.append(f"column {weight!r} weights the rows in training, validation, calibration and scores")
    return "".join(f" {each[0].upper()}{each[1:]}." for each in parts)


def _scores(candidate: Candidate) -> str:
    scores, baseline = candidate.scores, candidate.baseline
    columns = {**scores, **({"baseline": baseline} if baseline else {})}
    rows = [
        [_SCORES[metric], *(f"{found[metric]:.4f}" if metric in found else "" for found in columns.values())]
        for metric in next(iter(scores.values()))
    ]
    notes = [f"The baseline ignores the features: it always answers {_constant(candidate)}."] if baseline else []
    if "roc_auc" in baseline:
        notes.append(_ranked(candidate.run.dataset))
    return "\n\n".join(
        ["## Scores", _table(["on the test rows", *columns], rows), *([" ".join(notes)] if notes else [])]
    )


def _constant(candidate: Candidate) -> str:
    if not candidate.run.dataset.classifies:
        return "the mean of the training rows, or for the absolute error their median"
    return f"the share of each class in the training rows, and so the commonest one, {candidate.run.commonest_class!r}"


def _ranked(dataset: Dataset) -> str:
    if len(dataset.labels) == 2:
        return f"ROC-AUC and average precision are those of {dataset.class_names[1]!r}."
    return "ROC-AUC and average precision are the means over the classes, each against all others."


def _thresholds(candidate: Candidate) -> str:
    found = candidate.thresholds
    if found is None:
        return ""
    label = candidate.run.dataset.class_names[1]
    rows = [[f"{each.at:.2f}", *_threshold_cells(each)] for each in found.shown]
    text = f"What answering {label!r} from a probability on gives, on the test rows; the prediction is at 0.50."
    if found.best is not None:
        rows.append([f"{found.best.at:.4f}, best F1", *_threshold_cells(found.best)])
        text += " The threshold of the best F1 was chosen on the validation rows."
    table = _table([f"probability of {label}", "precision", "recall", "F1", "share flagged"], rows)
    return f"## Thresholds\n\n{text}\n\n{table}"


def _threshold_cells(found: Threshold) -> list[str]:
    return [f"{found.precision:.3f}", f"{found.recall:.3f}", f"{found.f1:.3f}", f"{found.flagged:.1%}"]


def _per_class(candidate: Candidate) -> str:
    labels = candidate.run.dataset.class_names
    run = candidate.run
    scores = by_class(run.test_targets, candidate.outputs[1], len(labels), run.test_weights)
    rows = [
        [label, *(f"{scores[name][index]:.3f}" for name in ("recall", "precision", "f1")), f"{scores['rows'][index]:,}"]
        for index, label in enumerate(labels)
    ]
    head = ["class", "recall", "precision", "F1", "test rows"]
    return "## Scores per class\n\n" + _table(head, rows)


def _per_target(candidate: Candidate) -> str:
    names = candidate.run.dataset.target_names
    if len(names) == 1:
        return ""
    scores = [
        regression(values[:, None], true[:, None], candidate.run.test_weights)
        for values, true in zip(candidate.outputs[0].T, candidate.run.test_targets.T, strict=True)
    ]
    rows = [[name, *(f"{value:.4g}" for value in found.values())] for name, found in zip(names, scores, strict=True)]
    return "## Scores per target\n\n" + _table(["target", *(_SCORES[metric] for metric in scores[0])], rows)


def _features(run: TrainingRun) -> str:
    dataset = run.dataset
    if len(dataset.shape) > 1:
        return ""
    found = summary.statistics(dataset, run.split.train)
    notes = "".join(f"\n- {note}" for note in dataset.notes)
    table = _table(summary.HEAD, summary.table(dataset.columns, found), "---")
    return f"## Features\n\n{table}" + (f"\n{notes}" if notes else "") + f"\n\n{unseen_values.paragraph(run)}"


def _int8(candidate: Candidate) -> str:
    if candidate.int8 is None:
        return f"There is no int8 graph: {candidate.no_int8}."
    return int8(candidate.int8, candidate.run.dataset.class_names)


def int8(comparison: Comparison, labels: Sequence[str]) -> str:
    """The card's paragraph on the int8 graph, published or not."""
    measured, falls = comparison.measured, comparison.measured.recall_falls
    verdict = "is also published" if comparison.fault is None else f"is **not** published: {comparison.fault}"
    worst = max(range(len(falls)), key=falls.__getitem__)
    return (
        f"The int8 graph {verdict}. Compared with fp32 on {measured.rows:,} validation and training rows that were not "
        f"used to calibrate its scales: accuracy {0 - measured.accuracy_loss * 100:+.2f} percentage points, log-loss "
        f"{measured.log_loss_fp32:.4f} → {measured.log_loss_int8:.4f}; {measured.labels_changed / measured.rows:.2%} "
        f"of the labels differ; the worst change in recall is {0 - falls[worst] * 100:+.2f} points, for "
        f"{labels[worst]} ({measured.class_lost[worst]} of {measured.class_rows[worst]:,} rows lost, "
        f"{measured.class_won[worst]} won); the largest change of a probability is "
        f"{measured.max_probability_change:.3f}."
    )


def _compared(candidate: Candidate) -> str:
    compared, notes = candidate.judgement.compared, candidate.judgement.notes
    listed = "\n".join(f"- {note}" for note in notes)
    if compared is None:
        return f"## Compared with the version before\n\n{listed}" if notes else ""
    if compared.seen_rows is None:
        seen = f" Version {compared.version} may have been trained on some of them, which favours it."
    else:
        seen = f" Version {compared.version} was trained on {compared.seen_rows:,} of them, which favours it."
    rows = [[_SCORES[metric], f"{compared.old[metric]:.4f}", f"{compared.new[metric]:.4f}"] for metric in compared.new]
    table = _table([f"on {compared.rows:,} test rows", f"version {compared.version}", "this version"], rows)
    worse = "".join(f"\n- **worse**: {each}" for each in compared.worse)
    return (
        f"## Compared with version {compared.version}\n\n"
        f"Both fp32 graphs answered the same rows of this version's test rows."
        f"{' Neither was trained on them.' if compared.seen_rows == 0 else seen}\n\n{table}"
        + (f"\n\n{(worse + chr(10) + listed).strip()}" if worse or notes else "")
    )


def _training(run: TrainingRun) -> str:
    best = run.best_epoch
    loss = "" if math.isnan(best.validation_loss) else f" (validation loss {best.validation_loss:.4f})"
    members = (
        "" if run.members == 1 else " Training losses are the mean of the members', validation losses the ensemble's."
    )
    calibrated = "" if run.temperature is None else f" Calibration temperature {run.temperature:.3f}."
    return (
        f"{len(run.history)} epochs in {run.fit_s:.0f} s on {run.device}, "
        f"{np.median([epoch.duration_s for epoch in run.history]):.2f} s per epoch (median). The weights are those of "
        f"epoch {best.number}{loss}.{members}{calibrated}{_distillation(run)}"
    )


def _distillation(run: TrainingRun) -> str:
    history = run.teacher_history
    if not history:
        return ""
    duration_s = sum(epoch.duration_s for epoch in history)
    return (
        "\n\nThe network was distilled from a teacher, a convolutional network that was trained first, on the same "
        f"rows: {len(history)} epochs in {duration_s:.0f} s of that time, validation accuracy "
        f"{history[-1].validation_score:.2%} (this network: {run.best_epoch.validation_score:.2%}). Training losses "
        "are against its probabilities and validation losses against the labels, so the two do not compare."
    )


def _usage(run: TrainingRun, example: int) -> str:
    dataset = run.dataset
    label = f", a *{dataset.class_names[run.test_targets[example]]}*" if dataset.classifies else ""
    picture = f"\n\n![the example]({EXAMPLE})" if len(dataset.shape) == 2 else ""
    return (
        f"## Usage\n\nWith the server running, send the test row in `example.json`{label}:\n\n"
        f"    curl localhost:8000/models/{run.name}/predict -d @example.json{picture}"
    )


def _provenance(candidate: Candidate, created: str, commit: str | None, libraries: Mapping[str, str]) -> str:
    run = candidate.run
    source = run.dataset.source
    hashes = source.get("sha256", "")
    digests = hashes.items() if isinstance(hashes, Mapping) else [(run.dataset.name, hashes)]
    rows = [
        ["created", f"{created}, by `{run.command}`"],
        ["code", commit or "not in a checkout"],
        ["libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())],
        ["data", str(source.get("url", source.get("from", source.get("name", run.dataset.name))))],
        *([f"SHA-256 of {name}", f"`{digest}`"] for name, digest in digests),
        ["seed", "none" if run.seed is None else str(run.seed)],
        ["ONNX Runtime against torch", ", ".join(f"{name} {value:g}" for name, value in candidate.parity.items())],
    ]
    return "## Provenance\n\n" + _table(["", ""], rows, "---")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], cells: str = "--:") -> str:
    """A Markdown table; ``cells`` aligns the columns from the second on."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"

    rule = ["---", *[cells] * (len(head) - 1)]
    return "\n".join(line(cells) for cells in (head, rule, *rows))
