"""No choice goes out of its bounds."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from training.config import RECIPES, Config
from training.errors import OptionError


def refusal(**choices: Any) -> str:
    with pytest.raises(OptionError) as refused:
        Config(**choices)
    return str(refused.value)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"hidden": (256, 0)}, "--hidden is 0, expected 1 to 65,536"),
        ({"hidden": ()}, "--hidden is empty, expected one or more sizes such as: --hidden 256 128"),
        (
            {"activation": "RELU"},
            "--activation is 'RELU', expected one of relu, tanh, logistic, gelu, silu, identity",
        ),
        ({"dropout": 1.0}, "--dropout is 1.0, expected 0 to 0.95"),
        ({"lr": math.nan}, "--lr is nan, expected 1e-07 to 10"),
        ({"lr": math.inf}, "--lr is inf, expected 1e-07 to 10"),
        ({"epochs": 0}, "--epochs is 0, expected 1 to 100,000"),
        ({"seed": -1}, "--seed is -1, expected 0 to 4,294,967,295"),
        ({"seed": 2**32}, "--seed is 4294967296, expected 0 to 4,294,967,295"),
        ({"device": "tpu"}, "--device is 'tpu', expected one of auto, cuda, mps, cpu"),
        (
            {"batch_size": 1, "batch_norm": True},
            "--batch-size is 1, expected 2 or more with --batch-norm, which measures rows together",
        ),
    ],
)
def test_what_is_out_of_bounds_is_told(choices: dict[str, Any], message: str) -> None:
    assert refusal(**choices) == message


@pytest.mark.parametrize("each", [each for each in fields(Config) if each.metadata["ge"] is not None], ids=str)
def test_both_ends_are_taken_and_nothing_beyond(each: Any) -> None:
    def value_of(number: float) -> Any:
        return (number,) if each.name == "hidden" else number

    least, largest = each.metadata["ge"], each.metadata["le"]
    for number in (least, largest):
        Config(**{each.name: value_of(number)})
    for number in (least - 1, largest + 1):
        assert refusal(**{each.name: value_of(number)}).startswith(f"--{each.name.replace('_', '-')} is ")


def test_recipes_are_within_bounds() -> None:
    for recipe in RECIPES.values():
        for choices in recipe.values():
            Config(**choices)
