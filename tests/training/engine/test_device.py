"""The requested device, or an error; one thread for small networks."""

from __future__ import annotations

import pytest
import torch

from training.engine import device
from training.errors import OptionError
from training.model.network import perceptron


def available() -> list[str]:
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, is_available in found.items() if is_available]


def test_auto_is_the_first_available_device() -> None:
    assert device.choose("auto").type == available()[0]


@pytest.mark.parametrize("name", ["cuda", "mps", "cpu"])
def test_a_requested_device_is_used_or_rejected(name: str) -> None:
    if name in available():
        assert device.choose(name).type == name
        return
    with pytest.raises(OptionError) as caught:
        device.choose(name)
    expected = f"expected auto or one that torch {torch.__version__} finds here: {', '.join(available())}"
    assert str(caught.value) == f"--device is {name!r}, {expected}"


def test_the_description_of_the_cpu_has_its_threads() -> None:
    assert device.described(torch.device("cpu")) == f"cpu (up to {torch.get_num_threads()} threads)"


@pytest.mark.parametrize(("rows", "threads"), [(32, 1), (2048, 2)])
def test_small_products_run_on_one_thread(rows: int, threads: int) -> None:
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
