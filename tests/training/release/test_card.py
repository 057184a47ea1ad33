"""The model card: its pictures exist, and its tables have the figures of the run."""

from __future__ import annotations

import re
import struct

import numpy as np
from sklearn import metrics

from tests.training.trained import Trained


def card_of(digits: Trained) -> str:
    return (digits.folder / "README.md").read_text()


def table(card: str, heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, as stripped cells."""
    lines = card.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [rows[0], *rows[2:]]


def test_every_picture_exists(digits: Trained) -> None:
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", card_of(digits))
    assert sorted(shown) == ["confusion.png", "example.png", "learning.png", "mistakes.png", "reliability.png"]
    assert sorted(path.name for path in digits.folder.glob("*.png")) == sorted(shown)
    for name in shown:
        content = (digits.folder / name).read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert min(width, height) >= 64


def test_scores_are_those_of_the_manifest(digits: Trained) -> None:
    head, *rows = table(card_of(digits), "Scores")
    scores = digits.published.manifest.scores
    assert head == ["on the test rows", *scores, "baseline"]
    assert [row[0] for row in rows] == [
        "accuracy",
        "balanced accuracy",
        "log-loss",
        "expected calibration error, 15 bins",
        "ROC-AUC",
        "average precision",
    ]
    baseline = digits.published.manifest.baseline
    assert baseline is not None
    names = ("accuracy", "balanced_accuracy", "log_loss", "ece", "roc_auc", "average_precision")
    for row, metric in zip(rows, names, strict=True):
        assert row[1:] == [f"{found[metric]:.4f}" for found in (*scores.values(), baseline)]


def test_scores_per_class(digits: Trained) -> None:
    _, *rows = table(card_of(digits), "Scores per class")
    true, predicted = digits.test_targets, digits.outputs[1]
    for index, row in enumerate(rows):
        hits = ((true == index) & (predicted == index)).sum()
        recall, precision = hits / (true == index).sum(), hits / (predicted == index).sum()
        f1 = metrics.f1_score(true == index, predicted == index)
        figures = [f"{recall:.3f}", f"{precision:.3f}", f"{f1:.3f}", str((true == index).sum())]
        assert row == [str(index), *figures]
    assert len(rows) == 10


def test_it_starts_with_the_network_and_its_data(digits: Trained) -> None:
    parts = digits.parts
    assert card_of(digits).startswith(
        "# digits, version 1\n\n"
        "A multi-layer perceptron (64 → 32 → 10, relu) that classifies rows of 64 features into 10 classes "
        f"(0, 1, 2, 3, 4, 5, 6, 7, 8, 9). Trained on {len(parts.train):,} rows of digits; {len(parts.validation)} "
        "other rows were used for validation and calibration. Scores and errors are for "
        f"{len(parts.test)} held-out test rows. The validation and test rows are drawn at random, "
        "stratified by class.\n"
    )


def test_the_epoch_and_the_temperature_are_those_of_the_run(digits: Trained) -> None:
    best = re.search(r"epoch (\d+) \(validation loss (\d\.\d{4})\)", digits.log)
    assert best is not None
    assert f"The weights are those of epoch {best[1]} (validation loss {best[2]})." in card_of(digits)
    temperature = digits.published.manifest.config["temperature"]
    assert f"Calibration temperature {temperature:.3f}." in card_of(digits)


def test_it_says_why_int8_is_not_published(digits: Trained) -> None:
    reason = "it would have 320 weights in int8, and is no faster below 65,536"
    assert f"There is no int8 graph: {reason}.\n" in card_of(digits)
    assert digits.published.manifest.no_int8 == reason


def test_provenance_is_that_of_the_manifest(digits: Trained) -> None:
    manifest = digits.published.manifest
    _, *rows = table(card_of(digits), "Provenance")
    found = dict(rows)
    assert found["created"] == f"{manifest.created}, by `{manifest.config['command']}`"
    assert found["code"] == (manifest.git_commit or "not in a checkout")
    assert found["SHA-256 of digits"] == f"`{manifest.data['sha256']}`"
    assert found["seed"] == "0"
    error = f"{manifest.parity['max_probability_error']:g}"
    assert found["ONNX Runtime against torch"] == (
        f"rows {len(digits.parts.test)}, max_probability_error {error}, labels_changed 0"
    )
    assert all(f"{name} {version}" in found["libraries"] for name, version in manifest.libraries.items())


def test_the_example_is_shown_with_its_label(digits: Trained) -> None:
    first = int((digits.outputs[1] == digits.test_targets).argmax())
    label = digits.dataset.labels[int(np.asarray(digits.test_targets)[first])]
    assert f"send the test row of class '{label}' in `example.json`:" in card_of(digits)
    assert "curl localhost:8000/models/digits/predict -d @example.json" in card_of(digits)
