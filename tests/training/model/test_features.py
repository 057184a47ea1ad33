"""The first layer for tables: rows expanded in batches and at once, categories seen and unseen, missing values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.model.test_folded import MIXED, rows_of
from training.data.dataset import Column
from training.model import features
from training.model.embeddings import MOST_ONE_HOT, SIZE, Embeddings
from training.model.features import Features
from training.model.preprocess import Preprocess

TOWNS = tuple(f"town {index}" for index in range(30))
PLACES = (*MIXED, Column("town", "categorical", missing=True, categories=TOWNS, other=True))


def fitted(columns: tuple[Column, ...] = PLACES, bins: int = 8) -> tuple[Tensor, Preprocess, Features]:
    inputs = rows_of(columns, 300)
    return torch.from_numpy(inputs), *features.fitted(columns, inputs, np.arange(len(inputs)), bins)


def test_rows_expanded_in_batches_equal_rows_expanded_at_once() -> None:
    raw, preparation, first = fitted()
    together = first(preparation(raw))
    parts = torch.cat([first(part) for part in torch.split(preparation(raw), 7)])
    assert together.shape == (300, first.width)
    assert torch.equal(parts, together)


def test_prepared_rows_are_no_wider_than_numbers_flags_and_codes() -> None:
    raw, preparation, first = fitted()
    assert preparation(raw).shape == (300, len(PLACES) + sum(column.missing for column in PLACES))
    assert first.width > 3 * preparation.width


def test_only_columns_with_many_codes_are_embedded() -> None:
    few = replace(PLACES[-1], categories=TOWNS[: MOST_ONE_HOT - 1])
    assert fitted((few,))[2].embeddings is None
    many = replace(PLACES[-1], categories=TOWNS[:MOST_ONE_HOT])
    found = fitted((many,))[2]
    assert found.embeddings is not None
    assert found.one_hot is None
    assert found.width == SIZE + 1, "a vector and the flag"


def test_each_code_and_a_missing_value_have_a_vector_of_their_own() -> None:
    _, preparation, first = fitted((PLACES[-1], PLACES[-1]))
    assert first.embeddings is not None
    weight = first.embeddings.weight
    rows = torch.tensor([[0.0, 30.0], [torch.nan, 2.0]])
    expanded = first(preparation(rows))
    assert expanded.tolist() == [
        [0, 0, *weight[0].tolist(), *weight[32 + 30].tolist()],
        [1, 0, *weight[31].tolist(), *weight[32 + 2].tolist()],
    ]


def test_vectors_of_codes_that_never_occur_are_zero() -> None:
    torch.manual_seed(0)
    layer = Embeddings([3, 2])
    layer.zero_unseen(torch.tensor([[0.0, 2.0], [2.0, 2.0], [0.0, 0.0]]))
    used = [bool(row.any()) for row in layer.weight]
    assert used == [True, False, True, False, True, False, True]


def test_a_missing_number_has_the_bins_of_the_mean_and_a_flag() -> None:
    raw, preparation, first = fitted(MIXED)
    mean = float(np.nanmean(raw[:, 0].double().numpy()))
    row = raw[~raw.isnan().any(dim=1)][0]
    missing, average = row.clone(), row.clone()
    missing[0], average[0] = torch.nan, mean
    found = first(preparation(torch.stack([missing, average])))
    assert (found[0] != found[1]).nonzero().flatten().tolist() == [3], "the flag alone"


@pytest.mark.parametrize(("columns", "each"), [(2, 32), (200, 20), (1000, 8)])
def test_a_table_of_many_columns_has_fewer_bins_for_each(columns: int, each: int) -> None:
    names = tuple(Column(f"number {index}") for index in range(columns))
    inputs = np.random.default_rng(0).normal(size=(100, columns)).astype(np.float32)
    _, first = features.fitted(names, inputs, np.arange(100), 32)
    assert first.numbers.bins == columns * each


def test_the_other_rows_do_not_count() -> None:
    inputs = rows_of(PLACES, 300)
    train = np.arange(0, 300, 2)
    found = features.fitted(PLACES, inputs, train, 8)[1].state_dict()
    alone = features.fitted(PLACES, inputs[train], np.arange(150), 8)[1].state_dict()
    for name, value in found.items():
        if "weight" not in name:
            assert torch.equal(value, alone[name])


@pytest.mark.parametrize("far", [0.0, 1.7e9])
def test_float64_rows_have_the_expanded_rows_of_float32_ones(far: float) -> None:
    """Moving numbers far from zero changes nothing in float64."""
    inputs = rows_of(MIXED, 300)
    exact = inputs.astype(np.float64)
    exact[:, [0, 3]] += far
    rows = np.arange(300)
    preparation, first = features.fitted(MIXED, inputs, rows, 8)
    preparation64, first64 = features.fitted(MIXED, exact, rows, 8)
    assert preparation64.input_dtype == torch.float64
    expected, found = first(preparation(torch.from_numpy(inputs))), first64(preparation64(torch.from_numpy(exact)))
    assert found.numpy() == pytest.approx(expected.numpy(), abs=2e-4)


def test_it_describes_its_inputs() -> None:
    assert fitted()[2].description == (
        "Its first layer has 33 inputs, among them 16 piecewise-linear bins of the numbers and 3 indicators of "
        "categories and 8 learned numbers for 1 feature with many categories."
    )
    assert fitted((Column("height"),), 0)[2].description == ""
