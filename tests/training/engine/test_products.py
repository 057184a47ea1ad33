"""Products by either library are those of torch.mm."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from training.engine import products
from training.model.network import perceptron

SHAPES = ((128, 784, 512), (512, 512, 10), (1, 5, 3), (7, 1, 2))


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
@pytest.mark.parametrize(("dtype", "transposed"), list(product([torch.float32, torch.float64], [False, True])))
def test_a_product_is_that_of_float64(
    monkeypatch: pytest.MonkeyPatch,
    onednn: bool,
    rows: int,
    inputs: int,
    outputs: int,
    dtype: torch.dtype,
    transposed: bool,
) -> None:
    monkeypatch.setattr(products, "_ONEDNN", getattr(torch.ops.mkldnn, "_linear_pointwise", None) if onednn else None)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(rows, inputs, generator=generator, dtype=dtype)
    weight = torch.randn(outputs, inputs, generator=generator, dtype=dtype)
    bias = torch.randn(outputs, generator=generator, dtype=dtype)
    if transposed:
        values, weight = values.t().contiguous().t(), weight.t().contiguous().t()
    plain = values.double() @ weight.double().t()
    found = products.linear(values, weight)
    out = torch.empty_like(found)
    products.linear_into(out, values, weight)
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(found.double(), plain, **tolerance)
    torch.testing.assert_close(products.linear(values, weight, bias).double(), plain + bias, **tolerance)
    assert out.equal(found)


@torch.no_grad()
def test_outputs_are_those_of_the_network() -> None:
    body = perceptron(784, (512,), 10, "relu", 0.1, batch_norm=True).eval()
    values = torch.rand(128, 784, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(products.outputs(body, values), body(values), rtol=1e-4, atol=1e-5)


def test_a_large_product_is_the_same_each_time() -> None:
    values, weight = torch.rand(128, 784), torch.rand(512, 784)
    once = products.linear(values, weight)
    assert all(products.linear(values, weight).equal(once) for _ in range(5))


@pytest.mark.parametrize("across", [False, True])
def test_onednn_gets_no_matrix_with_gaps(monkeypatch: pytest.MonkeyPatch, across: bool) -> None:
    """It would multiply some columns of a matrix, such as those of embeddings, by its slow reference code."""

    def onednn(rows: torch.Tensor, weight: torch.Tensor, *_: object) -> torch.Tensor:
        assert weight.is_contiguous() or weight.t().is_contiguous()
        return rows @ weight.t()

    monkeypatch.setattr(products, "_ONEDNN", onednn)
    monkeypatch.setattr(products, "_FEWEST", 0)
    generator = torch.Generator().manual_seed(0)
    values, wide = (torch.randn(rows, 40, generator=generator) for rows in (5, 10))
    weight = wide[:, :7].t() if across else wide[:, 30:]
    torch.testing.assert_close(products.linear(values[:, 30:], weight), values[:, 30:] @ weight.t())
