"""The device that was asked for, or one sentence; threads where they pay."""

from __future__ import annotations

import pytest
import torch

from training.engine import device
from training.errors import OptionError
from training.model.network import perceptron


def found() -> list[str]:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, is_there in there.items() if is_there]


def test_auto_takes_the_first_that_is_there() -> None:
    assert device.choose("auto").type == found()[0]


@pytest.mark.parametrize("name", ["cuda", "mps", "cpu"])
def test_what_is_asked_for_is_taken_or_refused(name: str) -> None:
    if name in found():
        assert device.choose(name).type == name
        return
    with pytest.raises(OptionError) as refused:
        device.choose(name)
    assert str(refused.value) == (
        f"--device is {name!r}, and torch {torch.__version__} finds here: {', '.join(found())}"
    )


def test_the_cpu_is_described_with_its_threads() -> None:
    assert device.described(torch.device("cpu")) == f"cpu (up to {torch.get_num_threads()} threads)"


@pytest.mark.parametrize(("rows", "threads"), [(32, 1), (2048, 2)])
def test_small_products_are_not_shared_out(rows: int, threads: int) -> None:
    body, before = perceptron(64, (64,), 10, "relu", 0.0, batch_norm=False), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with device.threads_for(body, rows):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyboardInterrupt), device.threads_for(body, rows):
            raise KeyboardInterrupt
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
