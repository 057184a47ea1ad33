"""The registry of losses: one spelling for all interfaces, label smoothing, custom losses."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.config import LOSSES, Config
from training.engine import losses


def test_the_command_line_spells_losses_as_the_registry_does() -> None:
    registered = {name for named in losses.LOSSES.values() for name in named}
    assert set(LOSSES) <= {"auto", *registered}


def test_the_command_line_has_no_loss_of_logarithmic_outputs() -> None:
    logarithmic = {name for named in losses.LOSSES.values() for name, loss in named.items() if loss.log_outputs}
    assert logarithmic == {"poisson"}
    assert not logarithmic & set(LOSSES)


def test_the_old_spelling_of_log_loss_works_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match=r"^--loss cross_entropy is now called log_loss$"):
        assert Config(loss="cross_entropy").loss == "log_loss"


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_smoothing_spreads_a_share_of_each_label(kind: losses.TargetKind) -> None:
    logits = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 1, 0, 1])
    one_hot = torch.nn.functional.one_hot(labels).float()
    targets = labels if kind == "classes" else one_hot
    plain = losses.LOSSES[kind]["log_loss"]
    flipped = 1 - labels if kind == "classes" else 1 - one_hot
    expected = 0.9 * plain.value(logits, targets) + 0.1 * plain.value(logits, flipped)
    torch.testing.assert_close(losses.smooth(plain, 0.2).value(logits, targets), expected)
    assert losses.smooth(plain, 0.0) is plain


def test_a_loss_without_label_smoothing_rejects_it() -> None:
    with pytest.raises(ValueError, match=r"^label_smoothing is 0.1, which this loss does not support; choose"):
        losses.smooth(losses.LOSSES["classes"]["focal"], 0.1)


def test_validation_labels_are_not_smoothed() -> None:
    logits, labels = torch.tensor([[20.0, 0.0]]), torch.tensor([0])
    objective = losses.classification(label_smoothing=0.2)
    assert objective.validation_loss(logits, labels).item() == pytest.approx(0, abs=1e-6)
    assert objective.loss.value(logits, labels).item() == pytest.approx(2, abs=1e-3)


def test_a_custom_loss_returns_one_number_per_row() -> None:
    def per_row(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs().sum(dim=1)

    outputs, targets = torch.zeros(3, 2), torch.ones(3, 2)
    assert losses.custom(per_row).value(outputs, targets).tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"^the loss has the shape \(\), expected \(3,\)"):
        losses.custom(lambda outputs, targets: (outputs - targets).sum()).value(outputs, targets)


def test_scores_are_accuracy_and_mean_r2() -> None:
    accuracy = losses.classification().score(torch.eye(3), torch.tensor([0, 1, 1]))
    assert accuracy.item() == pytest.approx(2 / 3)
    targets = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    assert losses.regression().score(targets, targets).item() == 1
    assert losses.regression().score(torch.tensor([[1.0, 0.0], [1.0, 4.0]]), targets).item() == 0.5
