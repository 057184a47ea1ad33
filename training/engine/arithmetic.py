"""Choose the arithmetic of a run, float32 or bfloat16, by measuring the gradient of its network in both."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from training.config import Config
from training.engine import gradient, losses
from training.engine.device import largest_matrix
from training.engine.flat_parameters import FlatParameters
from training.engine.loop import Inputs
from training.engine.workers import ALONE, Workers

AUTO: Final = "auto"
FLOAT32: Final = "float32"
BFLOAT16: Final = "bfloat16"
_LARGE: Final = 2**17  # numbers of a matrix; smaller ones gain nothing from bfloat16
_PAYS: Final = 1.1  # times as fast: less is not worth the digits, and may be noise
_CONVOLVED_ROWS: Final = 32  # enough to compare convolutions, which take long
_ROUNDS: Final = 7
_FEWEST_ROUNDS: Final = 3
_LONGEST_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``name`` is ``float32`` or ``bfloat16``; ``ratio`` is how many times as fast bfloat16 was, None if unmeasured."""

    name: str
    ratio: float | None = None

    @property
    def half(self) -> bool:
        """Whether matrix products are taken in bfloat16."""
        return self.name == BFLOAT16

    def __str__(self) -> str:
        if self.ratio is None:
            return self.name
        measured = f"{self.ratio:.1f} x float32 on this processor"
        return f"{BFLOAT16}: {measured}" if self.half else f"{FLOAT32}, as {BFLOAT16} is {measured}"


Measure = Callable[[Callable[[], object], Callable[[], object]], float]


def chosen(wanted: str, body: nn.Sequential, rows: Tensor, workers: Workers, measure: Measure) -> Arithmetic:
    """The arithmetic ``wanted``, or for ``auto`` the faster one for the gradient of ``body`` over ``rows``.

    ``measure`` tells how many times as fast as its first argument its second is; `speedup` does. The first of the
    ``workers`` measures for all. A network of small matrices is not measured: it is trained in float32.
    """
    if wanted != AUTO:
        return Arithmetic(wanted)
    if not len(rows) or not _may_pay(body, rows.device):
        return Arithmetic(FLOAT32)
    if _convolves(body):
        rows = rows[:_CONVOLVED_ROWS]
    ratio = torch.zeros((), device=rows.device)
    if workers.index == 0:
        with torch.random.fork_rng(), _one_thread():
            ratio.fill_(measure(_gradient_of(body, rows, half=False), _gradient_of(body, rows, half=True)))
    workers.sum(ratio)
    found = float(ratio)
    return Arithmetic(BFLOAT16 if found >= _PAYS else FLOAT32, found)


def speedup(
    first: Callable[[], object], second: Callable[[], object], clock: Callable[[], float] = time.thread_time
) -> float:
    """How many times as fast as ``first`` ``second`` is: the ratio of the medians of some calls in turn, in 0.3 s.

    By default the time is that of the processor, so that other programs, which slow both down, change little.
    """
    first(), second()  # the first calls prepare their kernels
    taken_s: tuple[list[float], list[float]] = ([], [])
    began_s = clock()
    for number in range(1, _ROUNDS + 1):
        for call, times in zip((first, second), taken_s, strict=True):
            started_s = clock()
            call()
            times.append(clock() - started_s)
        if number >= _FEWEST_ROUNDS and clock() - began_s >= _LONGEST_S:
            break
    return statistics.median(taken_s[0]) / statistics.median(taken_s[1])


def of_run(
    body: nn.Sequential,
    inputs: Inputs,
    config: Config,
    workers: Workers = ALONE,
    measure: Measure = speedup,
) -> Arithmetic:
    """The arithmetic in which to train ``body``: that of the state which the workers kept last, or as configured.

    A measurement takes as many of the ``inputs`` (rows, features) as a batch has, over and over if there are fewer.
    """
    state = workers.last_state()
    if state is not None:
        return Arithmetic(BFLOAT16 if state["half"] else FLOAT32)
    index = torch.arange(config.batch_size if len(inputs) else 0, device=inputs.device) % max(len(inputs), 1)
    return chosen(config.arithmetic, body, inputs.index_select(0, index), workers, measure)


@contextmanager
def _one_thread() -> Iterator[None]:
    """With more, they would wait for each other on a busy machine, and the processor's time is that of one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _may_pay(body: nn.Sequential, device: torch.device) -> bool:
    """Whether ``device`` has bfloat16, in software if need be, and ``body`` matrices large enough to gain from it."""
    if device.type == "mps" or (device.type == "cuda" and not torch.cuda.is_bf16_supported()):
        return False
    return largest_matrix(body) >= _LARGE or _convolves(body)


def _convolves(body: nn.Sequential) -> bool:
    return any(isinstance(layer, nn.Conv2d) for layer in body)


def _gradient_of(body: nn.Sequential, rows: Tensor, *, half: bool) -> Callable[[], object]:
    """A function that takes the gradient of a copy of ``body`` and waits for it."""
    own = copy.deepcopy(body)
    flat = FlatParameters(own)
    evaluate = gradient.of(own, flat, losses.LOSSES["numbers"]["squared_error"], half=half)
    with torch.no_grad():
        width = own.eval()(rows[:1]).shape[-1]
    targets = rows.new_zeros(len(rows), width)
    return lambda: evaluate(rows, targets, None).item()
