"""The model card: README.md with scores, learning curve, errors, features and provenance, its pictures, and the same as
one page, card.html."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from training.data import summary
from training.data.dataset import join_names
from training.model.features import Features
from training.release import card_page, card_pictures, card_scores, search_section, unseen_values
from training.release.markdown import code, table, text
from training.release.training_run import Candidate, TrainingRun

_NAMED_CLASSES: Final = 20


def card(
    candidate: Candidate, version: int, created: str, commit: str | None, libraries: Mapping[str, str], example: int
) -> dict[str, bytes]:
    """The card and its pictures by file name; ``example`` is the index of the example among the test rows."""
    run = candidate.run
    drawn = card_pictures.draw(candidate, example)
    sections = [
        _head(run, version),
        card_scores.scores(candidate),
        card_scores.thresholds(candidate),
        *card_scores.parts(candidate),
        card_scores.compared(candidate),
        f"## Training\n\n{drawn.learning}\n\n{_training(run)}",
        "" if run.search is None else search_section.section(run.search),
        f"## Errors\n\n{drawn.errors}",
        drawn.importance and f"## Feature importance\n\n{drawn.importance}",
        _features(run),
        _usage(run, example, drawn.example),
        _provenance(candidate, created, commit, libraries),
    ]
    markdown = "\n\n".join(section for section in sections if section) + "\n"
    pictures = drawn.files if run.search is None else drawn.files | search_section.pictures(run.search)
    page = card_page.page(markdown, pictures)
    return {**pictures, card_page.README: markdown.encode(), card_page.FILE: page}


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
        f"classifies rows of {features} into {len(dataset.labels)} classes "
        f"({text(join_names(dataset.class_names, _NAMED_CLASSES))})"
        if dataset.classifies
        else f"predicts {text(', '.join(dataset.target_names))} from {features}"
    )
    layer = run.network.body[0]
    encoding = f"{layer.description} ".lstrip() if isinstance(layer, Features) else ""
    use = "validation" if run.temperature is None else "validation and calibration"
    validation = f"; {len(split.validation):,} other rows were used for {use}" if len(split.validation) else ""
    division = text(_division(run))
    return (
        f"# {run.name}, version {version}\n\n"
        f"{network} that {task}. "
        f"{encoding}Trained on {split.train_rows:,} rows of {text(dataset.name)}{validation}. Scores and errors are "
        f"for {len(split.test):,} held-out test rows.{f' {division}' if division else ''}{_streamed(run)}"
    )


def _streamed(run: TrainingRun) -> str:
    """What was not computed from all rows of a table that is larger than memory."""
    split = run.split
    if split.streamed_rows is None:
        return ""
    if len(split.train) == split.streamed_rows:
        return " The table was streamed from its files."
    return (
        " The table was streamed from its files, in each epoch all training rows. Ranges, means and counts of the "
        f"features are those of all of them; scaling, bins, the baseline and the reference for drift are from a random "
        f"sample of {len(split.train):,} training rows."
    )


def _division(run: TrainingRun) -> str:
    """How the rows were divided and weighted, if that is known, in sentences."""
    ways = list(run.split.how.items())
    parts = [f"the {name} rows are {how}" for name, how in ways]
    if len({how for _, how in ways}) == 1:
        parts = [f"the {' and '.join(name for name, _ in ways)} rows are {ways[0][1]}"]
    weight = run.dataset.source.get("weight")
    if weight is not None:
        parts.append(f"column {weight!r} weights the rows in training, validation, calibration and scores")
    return " ".join(f"{each[0].upper()}{each[1:]}." for each in parts)


def _features(run: TrainingRun) -> str:
    dataset = run.dataset
    if len(dataset.shape) > 1:
        return ""
    lines = summary.table(dataset.columns, summary.statistics(dataset, run.split.train))
    notes = "".join(f"\n- {text(note)}" for note in dataset.notes)
    columns = table(summary.HEAD, [list(map(text, line)) for line in lines], "---")
    return f"## Features\n\n{columns}" + (f"\n{notes}" if notes else "") + f"\n\n{unseen_values.paragraph(run)}"


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


def _usage(run: TrainingRun, example: int, picture: str) -> str:
    dataset = run.dataset
    label = f" of class {text(repr(dataset.class_names[run.test_targets[example]]))}" if dataset.classifies else ""
    return (
        f"## Usage\n\nWith the server running, send the test row{label} in `example.json`:\n\n"
        f"    curl localhost:8000/models/{run.name}/predict -d @example.json" + (f"\n\n{picture}" if picture else "")
    )


def _provenance(candidate: Candidate, created: str, commit: str | None, libraries: Mapping[str, str]) -> str:
    run = candidate.run
    source = run.dataset.source
    hashes = source.get("sha256", "")
    digests = hashes.items() if isinstance(hashes, Mapping) else [(run.dataset.name, hashes)]
    origin = source.get("url", source.get("from", source.get("name", run.dataset.name)))
    rows = [
        ["created", f"{created}, by {code(run.command)}"],
        ["code", commit or "not in a checkout"],
        ["libraries", ", ".join(f"{name} {version}" for name, version in libraries.items())],
        ["data", text(origin)],
        *([f"SHA-256 of {text(name)}", code(digest)] for name, digest in digests),
        ["seed", "none" if run.seed is None else str(run.seed)],
        ["ONNX Runtime against torch", ", ".join(f"{name} {value:g}" for name, value in candidate.parity.items())],
    ]
    return "## Provenance\n\n" + table(["what", "value"], rows, "---")
