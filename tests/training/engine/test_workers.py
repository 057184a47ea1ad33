"""Several workers, here in threads, against one process with the whole batches; and going on from a kept state."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from training.config import Config
from training.engine import losses, trainer
from training.engine.averaging import averaged
from training.engine.batches import InMemoryBatches, SlicedBatches
from training.engine.flat_parameters import FlatParameters
from training.engine.loop import Rows
from training.engine.trainer import Epoch
from training.engine.workers import (
    ALONE,
    State,
    Workers,
    average_over_workers,
    gathered,
    rows_of_all,
    running_statistics,
    share_first,
)

_Result = TypeVar("_Result")
CONFIG = Config(hidden=(8,), batch_size=10, lr=0.01, epochs=4, patience=4)
OBJECTIVE = losses.classification()


class Team:
    """Adds up what threads bring."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.sums = 0
        self._barrier = threading.Barrier(count, timeout=20)
        self._brought: dict[int, Tensor] = {}

    def sum(self, index: int, values: Tensor) -> None:
        self._brought[index] = values.clone()
        self._barrier.wait()
        values.copy_(sum((self._brought[each] for each in range(self.count)), torch.zeros_like(values)))
        self.sums += index == 0
        self._barrier.wait()


class Worker:
    def __init__(self, team: Team, index: int, state: State | None = None) -> None:
        self._team = team
        self.index = index
        self.count = team.count
        self.state = state
        self.kept: list[State] = []

    def sum(self, values: Tensor) -> None:
        self._team.sum(self.index, values)

    def last_state(self) -> State | None:
        return copy.deepcopy(self.state)  # its own memory, as when it is read from a file

    def keep(self, state: Callable[[], State]) -> None:
        self.kept.append(copy.deepcopy(state()))


def together(count: int, work: Callable[[Worker], _Result], states: State | None = None) -> list[_Result]:
    team = Team(count)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, [Worker(team, index, states) for index in range(count)]))


def rows(count: int, seed: int, *, weighted: bool = False) -> Rows:
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 3, generator=random)
    targets = (inputs.sum(1) > 0).long()
    return Rows(inputs, targets, torch.rand(count, generator=random) if weighted else None)


def body() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))


def weights_of(network: nn.Sequential) -> Tensor:
    return torch.cat([each.detach().flatten() for each in network.parameters()])


def fit(network: nn.Sequential, source: InMemoryBatches | SlicedBatches, workers: Workers) -> list[Epoch]:
    return trainer.fit(network, source, rows(31, 2), OBJECTIVE, CONFIG, on_epoch=lambda _: None, workers=workers)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("count", [2, 3])
def test_workers_train_the_network_of_one_process(count: int, *, weighted: bool) -> None:
    train, alone = rows(47, 1, weighted=weighted), body()
    torch.manual_seed(5)
    history = fit(alone, InMemoryBatches(train), ALONE)
    expected = pytest.approx([epoch.validation_loss for epoch in history], abs=1e-6)
    torch.manual_seed(5)
    networks = [body() for _ in range(count)]
    sources = []
    for index in range(count):
        torch.manual_seed(5)
        sources.append(SlicedBatches(train, (index, count)))
    found = together(count, lambda worker: fit(networks[worker.index], sources[worker.index], worker))
    for network, each in zip(networks, found, strict=True):
        torch.testing.assert_close(weights_of(network), weights_of(alone), rtol=0, atol=2e-6)
        assert torch.equal(weights_of(network), weights_of(networks[0]))
        assert [epoch.validation_loss for epoch in each] == expected
        assert [epoch.validation_score for epoch in each] == [epoch.validation_score for epoch in history]


def test_training_goes_on_from_a_kept_state_as_if_it_had_not_stopped() -> None:
    train = rows(47, 1)

    def run(worker: Worker) -> tuple[Worker, Tensor, list[float]]:
        network, source = networks[worker.index], sources[worker.index]
        history = fit(network, source, worker)
        return worker, weights_of(network), [epoch.validation_loss for epoch in history]

    def prepare() -> None:
        networks[:] = [body() for _ in range(2)]
        torch.manual_seed(5)
        sources[:] = [SlicedBatches(train, (index, 2)) for index in range(2)]

    networks: list[nn.Sequential] = []
    sources: list[SlicedBatches] = []
    prepare()
    whole = together(2, run)
    state = whole[0][0].kept[1]
    prepare()
    resumed = together(2, run, state)
    assert len(resumed[0][0].kept) == CONFIG.epochs - 2
    for (_, weights, losses_), (_, expected, expected_losses) in zip(resumed, whole, strict=True):
        assert torch.equal(weights, expected)
        assert losses_ == expected_losses


def test_a_state_has_nothing_but_tensors_and_numbers(tmp_path: Path) -> None:
    worker = Worker(Team(1), 0)
    fit(body(), InMemoryBatches(rows(20, 1)), worker)
    path = tmp_path / "state.pt"
    torch.save(worker.kept[-1], path)
    loaded = torch.load(path, weights_only=True)
    assert loaded["history"] == worker.kept[-1]["history"]


def test_a_state_after_which_early_stopping_ends_training_is_the_end() -> None:
    worker = Worker(Team(1), 0)
    fit(body(), InMemoryBatches(rows(20, 1)), worker)
    state = worker.kept[0]
    state["early_stopping"]["no_improvement_count"] = CONFIG.patience
    resumed = Worker(Team(1), 0, state)
    assert len(fit(body(), InMemoryBatches(rows(20, 1)), resumed)) == 1


def test_a_step_takes_one_sum() -> None:
    team = Team(2)
    networks = [body() for _ in range(2)]
    flats = [FlatParameters(network) for network in networks]
    parts = [rows(4, 1).take(torch.arange(index, 4, 2)) for index in range(2)]

    def step(index: int) -> Tensor:
        def gradient(inputs: Tensor, *_: object) -> Tensor:
            flats[index].gradients.fill_(float(len(inputs) + index))
            return torch.tensor(float(index))

        return averaged(gradient, flats[index], Worker(team, index))(*parts[index])

    with ThreadPoolExecutor(2) as pool:
        assert [float(each) for each in pool.map(step, range(2))] == [0.5, 0.5]
    assert team.sums == 1
    assert flats[0].gradients.unique().tolist() == flats[1].gradients.unique().tolist() == [2.5]


def test_batches_of_no_weight_leave_the_gradient_zero() -> None:
    networks = [body() for _ in range(2)]
    flats = [FlatParameters(network) for network in networks]

    def step(worker: Worker) -> float:
        def gradient(*_: object) -> Tensor:
            return torch.tensor(0.0)

        inputs, targets, _ = rows(2, 1).take(torch.arange(2))
        return float(averaged(gradient, flats[worker.index], worker)(inputs, targets, torch.zeros(2)))

    assert together(2, step) == [0.0, 0.0]
    assert not flats[0].gradients.any()


def test_what_workers_tell_one_another() -> None:
    def work(worker: Worker) -> tuple[list[int], Tensor, Tensor]:
        first = torch.tensor([1.0 + worker.index])
        share_first(first, worker)
        outputs = gathered(lambda part: torch.arange(5.0)[part].view(-1, 1), 5, worker)
        return rows_of_all(10 + worker.index, worker, torch.device("cpu")), first, outputs

    for counts, first, outputs in together(3, work):
        assert counts == [10, 11, 12]
        assert first.tolist() == [1.0]
        assert outputs.flatten().tolist() == [0, 1, 2, 3, 4]


def test_batch_norms_keep_the_mean_of_what_workers_saw() -> None:
    layers = [nn.Sequential(nn.BatchNorm1d(2)) for _ in range(2)]
    for value, layer in enumerate(layers):
        layer[0].running_mean.fill_(value)
    together(2, lambda worker: average_over_workers(running_statistics(layers[worker.index]), worker))
    assert [layer[0].running_mean.tolist() for layer in layers] == [[0.5, 0.5]] * 2


def test_batch_norm_needs_two_rows_of_each_worker() -> None:
    config = replace(CONFIG, batch_norm=True, batch_size=2)
    assert trainer._batches_per_epoch([9, 8], config) == 4
    assert trainer._batches_per_epoch([9, 8], replace(config, batch_norm=False)) == 8
