"""The arithmetic is the wanted one, or the one that a measurement favours; a run goes on in that of its state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest
import torch
from torch import Tensor, nn

from tests.training.engine.test_workers import Team, Worker, together
from training.config import Config
from training.engine import arithmetic, losses, trainer
from training.engine.arithmetic import Arithmetic, Measure
from training.engine.batches import InMemoryBatches
from training.engine.loop import Rows
from training.engine.workers import ALONE, State, Workers
from training.model.network import perceptron

WIDTH, OUTPUTS = 700, 3
ROWS = torch.rand(6, WIDTH, generator=torch.Generator().manual_seed(0))
CONFIG = Config(hidden=(200,), epochs=3, batch_size=4)


def large(*, batch_norm: bool = False) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return perceptron(WIDTH, (200,), OUTPUTS, "relu", 0.1, batch_norm=batch_norm)


def giving(ratio: float) -> Callable[..., float]:
    return lambda *_: ratio


def never(*_: object) -> float:
    raise AssertionError("measured")


@pytest.mark.parametrize(
    ("ratio", "name", "text"),
    [
        (1.84, "bfloat16", "bfloat16: 1.8 x float32 on this processor"),
        (1.0, "float32", "float32, as bfloat16 is 1.0 x float32 on this processor"),
        (0.66, "float32", "float32, as bfloat16 is 0.7 x float32 on this processor"),
    ],
)
def test_the_faster_one_is_chosen_and_said(ratio: float, name: str, text: str) -> None:
    found = arithmetic.chosen("auto", large(), ROWS, ALONE, giving(ratio))
    assert (found.name, found.half, str(found)) == (name, name == "bfloat16", text)
    assert found.ratio == pytest.approx(ratio)


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_a_setting_is_taken_without_a_measurement(wanted: str) -> None:
    assert arithmetic.chosen(wanted, large(), ROWS, ALONE, never) == Arithmetic(wanted)


def test_small_networks_and_no_rows_are_not_measured() -> None:
    small = perceptron(WIDTH, (20,), OUTPUTS, "relu", 0.0, batch_norm=False)
    assert arithmetic.chosen("auto", small, ROWS, ALONE, never) == Arithmetic("float32")
    assert arithmetic.chosen("auto", large(), ROWS[:0], ALONE, never) == Arithmetic("float32")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_networks_own_gradient_is_measured_and_changes_nothing(*, batch_norm: bool) -> None:
    body = large(batch_norm=batch_norm)
    before = {name: value.clone() for name, value in body.state_dict().items()}
    losses_: list[object] = []

    def measure(first: Callable[[], object], second: Callable[[], object]) -> float:
        torch.manual_seed(1)
        losses_.append(first())
        torch.manual_seed(1)
        losses_.append(second())
        return 2.0

    random = torch.get_rng_state()
    assert arithmetic.chosen("auto", body, ROWS, ALONE, measure).half
    assert torch.equal(torch.get_rng_state(), random)
    torch.testing.assert_close(body.state_dict(), before, rtol=0, atol=0)
    assert body.training
    assert losses_[1] == pytest.approx(losses_[0], rel=0.05)
    assert losses_[1] != losses_[0]


def test_the_first_worker_measures_for_all() -> None:
    def choose(worker: Worker) -> Arithmetic:
        return arithmetic.chosen("auto", large(), ROWS, worker, giving(1.5) if worker.index == 0 else never)

    assert together(3, choose) == [Arithmetic("bfloat16", 1.5)] * 3


class Clock:
    """Stands still but while a call of `taking` takes its time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.called: list[str] = []

    def __call__(self) -> float:
        return self.now_s

    def taking(self, name: str, *durations_s: float) -> Callable[[], None]:
        """A call that takes the ``durations_s`` in turn."""
        upcoming = cycle(durations_s)

        def call() -> None:
            self.called.append(name)
            self.now_s += next(upcoming)

        return call


def test_a_speedup_is_the_ratio_of_the_medians_of_calls_in_turn() -> None:
    clock = Clock()
    first = clock.taking("first", 9.0, 0.02, 0.02, 0.1, *[0.02] * 4)
    second = clock.taking("second", 5.0, 0.01, 0.03, *[0.01] * 5)
    assert arithmetic.speedup(first, second, clock) == pytest.approx(2)
    assert len(clock.called) >= 6
    assert clock.called == ["first", "second"] * (len(clock.called) // 2)


@pytest.mark.parametrize(("seconds", "calls"), [(0.001, 8), (1.0, 4)])
def test_a_slow_network_is_measured_fewer_times(seconds: float, calls: int) -> None:
    clock = Clock()
    arithmetic.speedup(clock.taking("first", seconds), clock.taking("second", seconds), clock)
    assert clock.called.count("first") == calls


def fit(measure: Measure, workers: Workers = ALONE, config: Config = CONFIG) -> tuple[Tensor, Arithmetic]:
    """The weights of a network after training, and the arithmetic."""
    body, rows = large(), Rows(ROWS, torch.arange(len(ROWS)) % OUTPUTS)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        kind = arithmetic.of_run(body, ROWS, config, workers, measure)
        trainer.fit(
            *(body, InMemoryBatches(rows), rows, losses.classification(), config),
            on_epoch=lambda _: None,
            half=kind.half,
            workers=workers,
        )
    return torch.cat([each.detach().flatten() for each in body.parameters()]), kind


def test_a_network_is_trained_in_the_arithmetic_that_was_chosen() -> None:
    half, kind = fit(giving(2.0))
    assert kind == Arithmetic("bfloat16", 2.0)
    full, _ = fit(giving(0.5))
    assert not half.equal(full)
    torch.testing.assert_close(half, full, rtol=0, atol=0.02)
    for name, expected in (("bfloat16", half), ("float32", full)):
        found, kind = fit(never, config=Config(hidden=(200,), epochs=3, batch_size=4, arithmetic=name))
        assert kind == Arithmetic(name)
        assert found.equal(expected)


@pytest.mark.parametrize("ratio", [2.0, 0.5])
def test_training_goes_on_in_the_arithmetic_it_began_with(ratio: float) -> None:
    worker = Worker(Team(1), 0)
    _, began = fit(giving(ratio), worker)
    states: list[State] = worker.kept
    _, resumed = fit(never, Worker(Team(1), 0, states[0]))
    assert resumed.name == began.name
