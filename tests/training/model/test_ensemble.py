"""Batched members compute what separate networks do; the answer is the mean of their probabilities or values."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from training.model.ensemble import MeanProbabilities, MeanValues, MemberLinear, SplitMembers
from training.model.network import ensemble

MEMBERS, WIDTH, OUTPUTS, ROWS = 3, 5, 4, 9


def body(hidden: tuple[int, ...] = (7, 6), *, classifies: bool = True, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ensemble(MEMBERS, WIDTH, hidden, OUTPUTS, "tanh", 0.0, classifies=classifies)


def separate(together: nn.Sequential, member: int) -> nn.Sequential:
    """The network of one member, as Linear layers and activations."""
    layers: list[nn.Module] = []
    for layer in together:
        if isinstance(layer, nn.Linear):
            units = layer.out_features // MEMBERS
            mine = slice(member * units, (member + 1) * units)
            layers.append(linear(layer.weight[mine], layer.bias[mine]))
        elif isinstance(layer, MemberLinear):
            layers.append(linear(layer.weight[member].t(), layer.bias.view(MEMBERS, -1)[member]))
        elif not isinstance(layer, SplitMembers | MeanProbabilities | MeanValues):
            layers.append(copy.deepcopy(layer))
    return nn.Sequential(*layers)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
    return layer


def rows() -> Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("hidden", [(7,), (7, 6), (7, 6, 8)])
def test_in_training_each_member_is_a_network_of_its_own(hidden: tuple[int, ...]) -> None:
    together = body(hidden).train()
    found = together(rows())
    assert found.shape == (MEMBERS, ROWS, OUTPUTS)
    for member in range(MEMBERS):
        torch.testing.assert_close(found[member], separate(together, member)(rows()), rtol=1e-6, atol=1e-7)


def test_members_start_with_different_weights() -> None:
    first, second, third = body().train()(rows())
    assert (first - second).abs().max() > 0.1
    assert (second - third).abs().max() > 0.1


def test_classes_have_the_mean_of_the_members_probabilities() -> None:
    together = body().eval()
    members = torch.stack([torch.softmax(separate(together, member)(rows()), dim=1) for member in range(MEMBERS)])
    torch.testing.assert_close(torch.softmax(together(rows()), dim=1), members.mean(dim=0))
    torch.testing.assert_close(together(rows()).exp().sum(dim=1), torch.ones(ROWS))


def test_numbers_are_the_mean_of_the_members_values() -> None:
    together = body(classifies=False).eval()
    members = torch.stack([separate(together, member)(rows()) for member in range(MEMBERS)])
    torch.testing.assert_close(together(rows()), members.mean(dim=0))


def test_members_that_are_certain_of_other_classes_give_a_finite_log_probability() -> None:
    logits = torch.tensor([[[500.0, 0.0]], [[300.0, 0.0]]])
    found = MeanProbabilities().eval()(logits)
    assert found.isfinite().all()
    torch.testing.assert_close(torch.softmax(found, dim=1), torch.tensor([[1.0, 0.0]]))


def test_a_member_linear_starts_as_torchs_linear_does() -> None:
    torch.manual_seed(0)
    layer, reference = MemberLinear(4, 64, 100), nn.Linear(64, 400)
    for found, expected in ((layer.weight, reference.weight), (layer.bias, reference.bias)):
        assert found.abs().max() <= 1 / 8
        assert found.std().item() == pytest.approx(expected.std().item(), rel=0.1)


def test_only_weights_are_matrices_so_that_only_they_decay() -> None:
    names = {name.rpartition(".")[2]: parameter.ndim for name, parameter in body().named_parameters()}
    assert names["bias"] == 1
    assert min(parameter.ndim for name, parameter in body().named_parameters() if name.endswith("weight")) >= 2


@pytest.mark.parametrize(("seed", "same"), [(0, True), (1, False)])
def test_a_seed_gives_the_same_network(seed: int, same: bool) -> None:
    weights = [torch.cat([each.flatten() for each in body(seed=each).parameters()]) for each in (0, seed)]
    assert torch.equal(*weights) is same
