"""The model card: its pictures are there, and its tables hold the figures of the run."""

from __future__ import annotations

import re
import struct

import numpy as np
from sklearn import metrics

from tests.training.trained import Trained


def card_of(digits: Trained) -> str:
    return (digits.folder / "README.md").read_text()


def table(card: str, heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, its cells without spaces around them."""
    lines = card.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [rows[0], *rows[2:]]


def test_all_pictures_it_shows_are_there_and_are_pictures(digits: Trained) -> None:
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", card_of(digits))
    assert sorted(shown) == ["confusion.png", "example.png", "learning.png", "reliability.png"]
    assert sorted(path.name for path in digits.folder.glob("*.png")) == sorted(shown)
    for name in shown:
        content = (digits.folder / name).read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert min(width, height) >= 64


def test_scores_are_the_manifests(digits: Trained) -> None:
    head, *rows = table(card_of(digits), "Scores")
    scores = digits.published.manifest.scores
    assert head == ["on the test rows", *scores]
    assert [row[0] for row in rows] == [
        "accuracy",
        "accuracy, mean over the classes",
        "log-loss",
        "expected calibration error, 15 bins",
    ]
    for row, metric in zip(rows, ("accuracy", "balanced_accuracy", "log_loss", "ece"), strict=True):
        assert row[1:] == [f"{scores[precision][metric]:.4f}" for precision in scores]


def test_each_class_has_its_figures(digits: Trained) -> None:
    _, *rows = table(card_of(digits), "Each class")
    true, predicted = digits.test_targets, digits.answers[1]
    for place, row in enumerate(rows):
        hits = ((true == place) & (predicted == place)).sum()
        recall, precision = hits / (true == place).sum(), hits / (predicted == place).sum()
        f1 = metrics.f1_score(true == place, predicted == place)
        figures = [f"{recall:.3f}", f"{precision:.3f}", f"{f1:.3f}", str((true == place).sum())]
        assert row == [str(place), *figures]
    assert len(rows) == 10


def test_it_says_what_the_network_is_and_what_it_was_trained_on(digits: Trained) -> None:
    parts = digits.parts
    assert card_of(digits).startswith(
        "# digits, version 1\n\n"
        "A multi-layer perceptron (64 → 32 → 10, relu) that tells 10 classes apart (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) from "
        f"64 features. Trained on {len(parts.train):,} rows of digits, chosen and calibrated by "
        f"{len(parts.validation)} others; everything below was measured on {len(parts.test)} test rows that had no "
        "part in either.\n"
    )


def test_how_it_learned_is_what_the_run_said(digits: Trained) -> None:
    kept = re.search(r"epoch (\d+), whose validation loss is (\d\.\d{4})", digits.said)
    assert kept is not None
    assert f"the weights are those of epoch {kept[1]}, whose validation loss was {kept[2]}." in card_of(digits)
    temperature = digits.published.manifest.config["temperature"]
    assert f"Calibration temperature {temperature:.3f}." in card_of(digits)


def test_int8_is_told_of_whether_it_is_published_or_not(digits: Trained) -> None:
    reason = f"it was compared with fp32 on {len(digits.parts.validation)} rows, and 2,000 are needed"
    assert f"The int8 graph is **not** published: {reason}. Against fp32, on " in card_of(digits)
    assert f"int8 is not published: {reason}\n" in digits.said


def test_where_it_comes_from_is_the_manifests(digits: Trained) -> None:
    manifest = digits.published.manifest
    _, *rows = table(card_of(digits), "Where it comes from")
    found = dict(rows)
    assert found["made"] == f"{manifest.created}, by `{manifest.config['command']}`"
    assert found["code"] == (manifest.git_commit or "not in a checkout")
    assert found["SHA-256 of digits"] == f"`{manifest.data['sha256']}`"
    assert found["seed"] == "0"
    error = f"{manifest.parity['max_probability_error']:g}"
    assert found["ONNX Runtime against torch"] == (
        f"rows {len(digits.parts.test)}, max_probability_error {error}, labels_changed 0"
    )
    assert all(f"{name} {version}" in found["libraries"] for name, version in manifest.libraries.items())


def test_the_example_is_named_by_its_label(digits: Trained) -> None:
    first = int((digits.answers[1] == digits.test_targets).argmax())
    label = digits.dataset.labels[int(np.asarray(digits.test_targets)[first])]
    assert f"send the test row in `example.json`, which is *{label}*:" in card_of(digits)
    assert "curl localhost:8000/models/digits/predict -d @example.json" in card_of(digits)
