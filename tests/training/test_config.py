"""Options are checked against their bounds, and messages state the bounds."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from training.config import RECIPES, Config, Constraint, Interval, Options, mismatch
from training.errors import OptionError


def error_of(**options: Any) -> str:
    with pytest.raises(OptionError) as raised:
        Config(**options)
    return str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": (256, 0)}, "--hidden is 0, expected an integer from 1 to 65,536"),
        ({"hidden": ()}, "--hidden is empty, expected one or more sizes such as: --hidden 256 128"),
        (
            {"activation": "RELU"},
            "--activation is 'RELU', expected one of 'relu', 'tanh', 'logistic', 'gelu', 'silu', 'identity'",
        ),
        ({"dropout": 1.0}, "--dropout is 1.0, expected a number from 0 to 0.95"),
        ({"lr": math.nan}, "--lr is nan, expected a number from 0 to 10"),
        ({"lr": math.inf}, "--lr is inf, expected a number from 0 to 10"),
        ({"epochs": 0}, "--epochs is 0, expected an integer from 1 to 100,000"),
        ({"seed": -1}, "--seed is -1, expected an integer from 0 to 4,294,967,295"),
        ({"seed": 2**32}, "--seed is 4294967296, expected an integer from 0 to 4,294,967,295"),
        ({"device": "tpu"}, "--device is 'tpu', expected one of 'auto', 'cuda', 'mps', 'cpu'"),
        (
            {"batch_size": 1, "batch_norm": True},
            "--batch-size is 1, expected 2 or more with --batch-norm, which averages over the batch",
        ),
    ],
)
def test_a_value_out_of_bounds_is_rejected(options: dict[str, Any], message: str) -> None:
    assert error_of(**options) == message


@pytest.mark.parametrize(
    "each",
    [each for each in fields(Config) if isinstance(each.metadata["bounds"], Interval)],
    ids=lambda each: each.name,
)
def test_an_interval_includes_its_ends_and_nothing_beyond(each: Any) -> None:
    def value_of(number: float) -> Any:
        return (number,) if each.name == "hidden" else number

    low, high = each.metadata["bounds"].low, each.metadata["bounds"].high
    for number in (low, high):
        Config(**{each.name: value_of(number)})
    for number in (low - 1, high + 1):
        assert error_of(**{each.name: value_of(number)}).startswith(f"--{each.name.replace('_', '-')} is ")


def test_recipes_are_within_bounds() -> None:
    for recipe in RECIPES.values():
        for options in recipe.values():
            Config(**options)


INF = math.inf


@pytest.mark.parametrize(
    ("constraint", "valid", "invalid", "text"),
    [
        (Options(("a", "b")), ["a", "b"], ["c", None, 1, ["a"]], "one of 'a', 'b'"),
        (Options((INF,)), [INF, np.float32(INF)], ["inf", -INF, None], "inf"),
        (Interval(0, 0.95), [0, 0.95, np.float32(0.5)], [-0.1, 1, math.nan, "0"], "a number from 0 to 0.95"),
        (Interval(0, 1, open_high=True), [0, 0.99], [1, -1], "a number of at least 0 and below 1"),
        (Interval(0, 1, open_low=True), [0.1, 1], [0, 2], "a number above 0 and at most 1"),
        (Interval(0, open_low=True), [0.1, INF], [0, None], "a number above 0"),
        (Interval(1, integer=True), [1, np.int64(5)], [0, 1.0, INF], "an integer of at least 1"),
        (Interval(1, 2000, integer=True), [1, 2000], [2001, 1.5], "an integer from 1 to 2,000"),
    ],
)
def test_a_constraint_accepts_what_its_text_says(
    constraint: Constraint, valid: list[Any], invalid: list[Any], text: str
) -> None:
    assert all(map(constraint.accepts, valid))
    assert not any(map(constraint.accepts, invalid))
    assert str(constraint) == text


def test_a_value_may_satisfy_any_of_several_constraints() -> None:
    constraints = (Options(("auto",)), Interval(1, integer=True))
    assert mismatch("batch_size", "auto", *constraints) is None
    assert mismatch("batch_size", 8, *constraints) is None
    expected = "batch_size is 0, expected 'auto', or an integer of at least 1"
    assert mismatch("batch_size", 0, *constraints) == expected
