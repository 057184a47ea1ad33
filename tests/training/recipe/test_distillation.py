"""A teacher's soft targets for each transform of handwritten digits, and the student that learns them."""

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
from training.engine.augment import Augment, transforms
from training.engine.loop import Rows
from training.engine.trainer import Epoch
from training.model import preprocess
from training.recipe import distillation, train
from training.recipe.distillation import SoftTargets

CONFIG = Config(
    arithmetic="float32",  # a measured one need not be the same each time
    hidden=(32,),
    batch_size=64,
    epochs=20,
    lr=0.01,
    batch_norm=True,
    shift_pixels=1,
    teacher_epochs=15,
)
_DIGITS = bundled.load("digits")
DATASET = replace(_DIGITS, inputs=_DIGITS.inputs.astype(np.uint8))  # scikit-learn has these pixels as float
PARTS: Split = split(DATASET, CONFIG)


def rows(part: NDArray[np.int64]) -> Rows:
    preparation = preprocess.fitted(DATASET.columns, DATASET.inputs[PARTS.train], together=True)
    inputs: Tensor = preparation(torch.from_numpy(DATASET.inputs[part].astype(np.float32)))
    return Rows(inputs, torch.from_numpy(DATASET.targets[part]))


def distilled(epochs: list[Epoch], config: Config = CONFIG) -> SoftTargets:
    augment = Augment(8, 8, -1.0, transforms(flip=False, shift_pixels=1), erase_pixels=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return distillation.soft_targets(rows(PARTS.train), rows(PARTS.validation), 10, config, augment, epochs.append)


@pytest.fixture(scope="module")
def soft() -> SoftTargets:
    return distilled([])


def test_targets_mix_probabilities_of_each_transform_with_the_label(soft: SoftTargets) -> None:
    labels = torch.from_numpy(DATASET.targets[PARTS.train])
    assert soft.targets.shape == (len(labels), 9, 10)
    assert torch.allclose(soft.targets.sum(dim=2), torch.ones(len(labels), 9))
    assert soft.targets[torch.arange(len(labels)), :, labels].min() >= 0.1
    assert (soft.targets.argmax(dim=2) == labels.unsqueeze(1)).float().mean() > 0.97


def test_label_smoothing_applies_to_the_label(soft: SoftTargets) -> None:
    smoothed = distilled([], replace(CONFIG, label_smoothing=0.5))
    labels = torch.nn.functional.one_hot(torch.from_numpy(DATASET.targets[PARTS.train]), 10).unsqueeze(1)
    assert torch.allclose(smoothed.targets - soft.targets, 0.1 * 0.5 * (0.1 - labels.float()), atol=1e-6)


def test_targets_depend_on_the_transform(soft: SoftTargets) -> None:
    spread = soft.targets.amax(dim=1) - soft.targets.amin(dim=1)
    assert (spread.amax(dim=1) > 1e-4).float().mean() > 0.9


def test_the_history_and_the_targets_are_reproducible(soft: SoftTargets) -> None:
    epochs: list[Epoch] = []
    again = distilled(epochs)
    assert epochs == again.history
    assert [epoch.number for epoch in epochs] == list(range(1, 16))
    assert epochs[-1].validation_score > 0.95
    assert torch.equal(again.targets, soft.targets)


def test_the_teacher_is_trained_first() -> None:
    epochs: list[Epoch] = []
    found = train.train_network(DATASET, PARTS, CONFIG, torch.device("cpu"), lambda _: None, epochs.append)
    assert found.teacher_history == epochs
    assert len(epochs) == CONFIG.teacher_epochs
    assert found.history[-1].validation_score > 0.9
    alone = train.train_network(DATASET, PARTS, replace(CONFIG, teacher_epochs=0), torch.device("cpu"), lambda _: None)
    assert alone.teacher_history == []


def test_the_student_learns_the_soft_targets_and_not_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    def next_digits(train: Rows, _validation: Rows, classes: int, *others: Any) -> SoftTargets:
        augment: Augment = others[1]
        next_digit = torch.nn.functional.one_hot((train.targets + 1) % classes, classes).float()
        return SoftTargets(next_digit.unsqueeze(1).repeat(1, len(augment.transforms), 1), [])

    monkeypatch.setattr(distillation, "soft_targets", next_digits)
    found = train.train_network(DATASET, PARTS, CONFIG, torch.device("cpu"), lambda _: None)
    prediction = train.outputs_of(found.network, DATASET.inputs[PARTS.test]).argmax(axis=1)
    assert (prediction == (DATASET.targets[PARTS.test] + 1) % 10).mean() > 0.9


def test_the_card_and_the_log_mention_the_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "load", {"digits": DATASET}.__getitem__)
    words = ("--recipe", "best", "--hidden", "8", "--epochs", "1", "--teacher-epochs", "2", "--shift-pixels", "0")
    status, log = run(tmp_path, "digits", *words)
    assert status == 0
    assert "teacher: validation accuracy 0." in log
    card = (tmp_path / "digits" / "1" / "README.md").read_text()
    assert "a convolutional network that was trained first, on the same rows: 2 epochs in" in card
