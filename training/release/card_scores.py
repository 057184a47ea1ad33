"""The card's sections on scores: of all rows, by threshold, class and target, of int8, beside the version before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from training.data.dataset import Dataset
from training.release.evaluate import BINS, by_class, regression
from training.release.markdown import table, text
from training.release.quantize import Comparison
from training.release.thresholds import Threshold
from training.release.training_run import Candidate

NAMES: Final[Mapping[str, str]] = {
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
_IN_UNITS: Final = frozenset({"mae", "rmse"})
_DIGITS: Final = 5


def scores(candidate: Candidate) -> str:
    """All scores, beside those of the baseline."""
    found, baseline = candidate.scores, candidate.baseline
    columns = {**found, **({"baseline": baseline} if baseline else {})}
    rows = [
        [NAMES[metric], *(shown(metric, each[metric]) if metric in each else "" for each in columns.values())]
        for metric in next(iter(found.values()))
    ]
    notes = [
        "Log-loss and calibration error should be low, the other scores high."
        if candidate.run.dataset.classifies
        else "The errors are in the target's unit, and should be low; an R² of 1 is perfect."
    ]
    if baseline:
        notes.append(f"The baseline ignores the features: it always predicts {_constant(candidate)}.")
    if "roc_auc" in baseline:
        notes.append(_ranked(candidate.run.dataset))
    return "\n\n".join(["## Scores", table(["on the test rows", *columns], rows), " ".join(notes)])


def shown(metric: str, value: float) -> str:
    """A score with four decimals; one in the target's unit with five digits."""
    if metric not in _IN_UNITS or value == 0:
        return f"{value:.4f}"
    if abs(value) < 1e-3 or abs(value) >= 1e9:
        return f"{value:.{_DIGITS}g}"
    return f"{value:,.{max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))}f}"


def _constant(candidate: Candidate) -> str:
    if not candidate.run.dataset.classifies:
        return "the mean of the training rows, or for the absolute error their median"
    commonest = text(repr(candidate.run.commonest_class))
    return f"the share of each class in the training rows, and so the commonest one, {commonest}"


def _ranked(dataset: Dataset) -> str:
    if len(dataset.labels) == 2:
        return f"ROC-AUC and average precision are those of {text(repr(dataset.class_names[1]))}."
    return "ROC-AUC and average precision are the means over the classes, each against all others."


def thresholds(candidate: Candidate) -> str:
    """What each threshold gives, if there are two classes."""
    found = candidate.thresholds
    if found is None:
        return ""
    name = candidate.run.dataset.class_names[1]
    rows = [[f"{each.at:.2f}", *_threshold_cells(each)] for each in found.shown]
    note = f"Scores on the test rows if {text(repr(name))} is predicted from this probability; the server uses 0.50."
    if found.best is not None:
        rows.append([f"{found.best.at:.4f}, best F1", *_threshold_cells(found.best)])
        note += " The threshold of the best F1 was chosen on the validation rows."
    head = [f"probability of {text(name)}", "precision", "recall", "F1", "share flagged"]
    return f"## Thresholds\n\n{note}\n\n{table(head, rows)}"


def _threshold_cells(found: Threshold) -> list[str]:
    return [f"{found.precision:.3f}", f"{found.recall:.3f}", f"{found.f1:.3f}", f"{found.flagged:.1%}"]


def parts(candidate: Candidate) -> list[str]:
    """The scores of each class and those of int8, or those of each target."""
    if not candidate.run.dataset.classifies:
        return [_per_target(candidate)]
    return [_per_class(candidate), _int8_section(candidate)]


def _per_class(candidate: Candidate) -> str:
    """Recall, precision and F1 of each class."""
    labels = candidate.run.dataset.class_names
    run = candidate.run
    found = by_class(run.test_targets, candidate.outputs[1], len(labels), run.test_weights)
    rows = [
        [
            text(label),
            *(f"{found[name][index]:.3f}" for name in ("recall", "precision", "f1")),
            f"{found['rows'][index]:,}",
        ]
        for index, label in enumerate(labels)
    ]
    head = ["class", "recall", "precision", "F1", "test rows"]
    note = (
        "Recall is the share of a class's rows that were recognized, precision the share of the rows predicted as the "
        "class that belong to it; F1 is their harmonic mean."
    )
    return f"## Scores per class\n\n{table(head, rows)}\n\n{note}"


def _per_target(candidate: Candidate) -> str:
    """The scores of each target, if there are several."""
    names = candidate.run.dataset.target_names
    if len(names) == 1:
        return ""
    found = [
        regression(values[:, None], true[:, None], candidate.run.test_weights)
        for values, true in zip(candidate.outputs[0].T, candidate.run.test_targets.T, strict=True)
    ]
    rows = [
        [text(name), *(shown(metric, value) for metric, value in each.items())]
        for name, each in zip(names, found, strict=True)
    ]
    return "## Scores per target\n\n" + table(["target", *(NAMES[metric] for metric in found[0])], rows)


def _int8_section(candidate: Candidate) -> str:
    """Whether there is an int8 graph, and how it compares."""
    if candidate.int8 is None:
        return f"There is no int8 graph: {text(candidate.no_int8)}."
    return int8(candidate.int8, candidate.run.dataset.class_names)


def int8(comparison: Comparison, labels: Sequence[str]) -> str:
    """The card's paragraph on the int8 graph, published or not."""
    measured, falls = comparison.measured, comparison.measured.recall_falls
    verdict = "is also published" if comparison.fault is None else f"is **not** published: {text(comparison.fault)}"
    worst = max(range(len(falls)), key=falls.__getitem__)
    return (
        f"The int8 graph {verdict}. Compared with fp32 on {measured.rows:,} validation and training rows that were not "
        f"used to calibrate its scales: accuracy {0 - measured.accuracy_loss * 100:+.2f} percentage points, log-loss "
        f"{measured.log_loss_fp32:.4f} → {measured.log_loss_int8:.4f}; {measured.labels_changed / measured.rows:.2%} "
        f"of the labels differ; the worst change in recall is {0 - falls[worst] * 100:+.2f} points, for "
        f"{text(labels[worst])} ({measured.class_lost[worst]} of {measured.class_rows[worst]:,} rows lost, "
        f"{measured.class_won[worst]} won); the largest change of a probability is "
        f"{measured.max_probability_change:.3f}."
    )


def compared(candidate: Candidate) -> str:
    """The scores beside those of the version before, on the same rows."""
    found, notes = candidate.judgement.compared, candidate.judgement.notes
    listed = "\n".join(f"- {text(note)}" for note in notes)
    if found is None:
        return f"## Compared with the version before\n\n{listed}" if notes else ""
    if found.seen_rows is None:
        seen = f" Version {found.version} may have been trained on some of them, which favours it."
    else:
        seen = f" Version {found.version} was trained on {found.seen_rows:,} of them, which favours it."
    rows = [[NAMES[metric], shown(metric, found.old[metric]), shown(metric, found.new[metric])] for metric in found.new]
    scores = table([f"on {found.rows:,} test rows", f"version {found.version}", "this version"], rows)
    worse = "".join(f"\n- **worse**: {text(each)}" for each in found.worse)
    return (
        f"## Compared with version {found.version}\n\n"
        f"Both fp32 graphs answered the same rows of this version's test rows."
        f"{' Neither was trained on them.' if found.seen_rows == 0 else seen}\n\n{scores}"
        + (f"\n\n{(worse + chr(10) + listed).strip()}" if worse or notes else "")
    )
