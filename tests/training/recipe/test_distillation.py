"""A teacher of handwritten digits: what it tells of each view, and what a small network learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.training.trained import run
from training.config import Config
from training.data import bundled
from training.data.split import Split, split
from training.engine.augment import Augment, ways
from training.engine.loop import Rows
from training.engine.trainer import Epoch
from training.model import preprocess
from training.recipe import distillation, train
from training.recipe.distillation import Lesson

CONFIG = Config(
    hidden=(32,),
    batch_size=64,
    epochs=20,
    lr=0.01,
    batch_norm=True,
    shift_pixels=1,
    teacher_epochs=15,
)
_DIGITS = bundled.load("digits")
DATASET = replace(_DIGITS, inputs=_DIGITS.inputs.astype(np.uint8))  # pixels, of which scikit-learn makes numbers
PARTS: Split = split(DATASET, CONFIG)


def rows(part: NDArray[np.int64]) -> Rows:
    preparation = preprocess.fitted(DATASET.columns, DATASET.inputs[PARTS.train], together=True)
    inputs: Tensor = preparation(torch.from_numpy(DATASET.inputs[part].astype(np.float32)))
    return Rows(inputs, torch.from_numpy(DATASET.targets[part]))


def given(told: list[Epoch], config: Config = CONFIG) -> Lesson:
    augment = Augment(8, 8, -1.0, ways(flip=False, shift_pixels=1), erase_pixels=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return distillation.lesson(rows(PARTS.train), rows(PARTS.validation), 10, config, augment, told.append)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return given([])


def test_it_tells_of_each_image_in_each_way_and_the_label_counts(lesson: Lesson) -> None:
    labels = torch.from_numpy(DATASET.targets[PARTS.train])
    assert lesson.targets.shape == (len(labels), 9, 10)
    assert torch.allclose(lesson.targets.sum(dim=2), torch.ones(len(labels), 9))
    assert lesson.targets[torch.arange(len(labels)), :, labels].min() >= 0.1
    assert (lesson.targets.argmax(dim=2) == labels.unsqueeze(1)).float().mean() > 0.97


def test_the_label_is_smoothed_where_that_is_asked_for(lesson: Lesson) -> None:
    smoothed = given([], replace(CONFIG, label_smoothing=0.5))
    labels = torch.nn.functional.one_hot(torch.from_numpy(DATASET.targets[PARTS.train]), 10).unsqueeze(1)
    assert torch.allclose(smoothed.targets - lesson.targets, 0.1 * 0.5 * (0.1 - labels.float()), atol=1e-6)


def test_it_tells_of_the_view_and_not_of_the_image_alone(lesson: Lesson) -> None:
    spread = lesson.targets.amax(dim=1) - lesson.targets.amin(dim=1)
    assert (spread.amax(dim=1) > 1e-4).float().mean() > 0.9


def test_it_says_how_it_came_to_know(lesson: Lesson) -> None:
    told: list[Epoch] = []
    again = given(told)
    assert told == again.history
    assert [epoch.number for epoch in told] == list(range(1, 16))
    assert told[-1].validation_score > 0.95
    assert torch.equal(again.targets, lesson.targets)


def test_the_network_learns_and_the_teacher_was_first() -> None:
    told: list[Epoch] = []
    found = train.learn(DATASET, PARTS, CONFIG, torch.device("cpu"), lambda _: None, told.append)
    assert found.teacher_history == told
    assert len(told) == CONFIG.teacher_epochs
    assert found.history[-1].validation_score > 0.9
    alone = train.learn(DATASET, PARTS, replace(CONFIG, teacher_epochs=0), torch.device("cpu"), lambda _: None)
    assert alone.teacher_history == []


def test_the_network_learns_what_it_is_told_and_not_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_the_next_digit(train: Rows, _validation: Rows, classes: int, *others: Any) -> Lesson:
        augment: Augment = others[1]
        next_digit = torch.nn.functional.one_hot((train.targets + 1) % classes, classes).float()
        return Lesson(next_digit.unsqueeze(1).repeat(1, len(augment.ways), 1), [])

    monkeypatch.setattr(distillation, "lesson", of_the_next_digit)
    found = train.learn(DATASET, PARTS, CONFIG, torch.device("cpu"), lambda _: None)
    _, prediction = train.answers_of(found.network, DATASET.inputs[PARTS.test], classifies=True)
    assert (prediction == (DATASET.targets[PARTS.test] + 1) % 10).mean() > 0.9


def test_the_card_and_the_log_tell_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "load", {"digits": DATASET}.__getitem__)
    words = ("--recipe", "best", "--hidden", "8", "--epochs", "1", "--teacher-epochs", "2", "--shift-pixels", "0")
    status, said = run(tmp_path, "digits", *words)
    assert status == 0
    assert "teacher: validation accuracy 0." in said
    card = (tmp_path / "digits" / "1" / "README.md").read_text()
    assert "a convolutional network that was trained first, on the same rows: 2 epochs in" in card
