"""The spaces lie within the bounds of `Config` and contain the defaults of the recipes."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from training.config import RECIPES, Config, Kind, Options
from training.errors import OptionError
from training.recipe import sizing
from training.run.search import spaces
from training.run.search.spaces import SEARCHED, SPACES, Range, Space

BOUNDS = {each.name: each.metadata["bounds"] for each in fields(Config)}
KINDS: tuple[Kind, ...] = ("image", "table")


def ends(space: Space) -> tuple[object, ...]:
    return (space.low, space.high) if isinstance(space, Range) else tuple(space.values)


def holds(space: Space, value: object) -> bool:
    if isinstance(space, Options):
        return value in space.values
    assert isinstance(value, int | float)
    return space.low <= value <= space.high


@pytest.mark.parametrize("kind", KINDS)
def test_every_space_lies_within_the_bounds_of_its_option(kind: Kind) -> None:
    for name, by_parameter in SPACES[kind].items():
        for parameter, space in by_parameter.items():
            for value in ends(space):
                config = Config(**spaces.options({"hidden_layers": 1, "hidden_units": 8} | {parameter: value}))
                assert BOUNDS[name] is None or name == "hidden" or BOUNDS[name].accepts(getattr(config, name))


@pytest.mark.parametrize(
    ("recipe", "kind"), [(recipe, kind) for recipe, by_kind in RECIPES.items() for kind in by_kind]
)
@pytest.mark.parametrize("rows", [20, 100_000])
def test_the_first_trial_is_the_recipe(recipe: str, kind: Kind, rows: int) -> None:
    config = Config(**RECIPES[recipe][kind])
    values = spaces.values(sizing.resolved(config, rows), SPACES[kind])
    by_parameter = spaces.parameters(kind, SPACES[kind])
    assert [name for name, value in values.items() if not holds(by_parameter[name], value)] == []
    trial = replace(config, **spaces.options(values))
    assert sizing.resolved(trial, rows) == sizing.resolved(config, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_options_that_are_given_are_not_searched(kind: Kind) -> None:
    assert spaces.chosen(kind, (), None, classifies=True) == SEARCHED[kind]
    assert "lr" not in spaces.chosen(kind, ("lr", "epochs"), None, classifies=True)
    assert spaces.chosen(kind, ("lr",), ["--weight-decay", "dropout", "dropout"], classifies=False) == (
        "weight_decay",
        "dropout",
    )


@pytest.mark.parametrize(
    ("given", "search", "message"),
    [
        ((), ["droput"], "--search has 'droput', which cannot be searched for this data; did you mean dropout?"),
        (("lr",), ["lr"], "--search has 'lr', and --lr gives its value; leave out one of them"),
        (
            (),
            ["label_smoothing"],
            "--search has 'label_smoothing', which is for classes, but there are numbers to predict; leave it out",
        ),
        (SEARCHED["table"], None, "all options that are searched by default have a value; leave one of them out"),
    ],
)
def test_what_cannot_be_searched_is_an_error(given: tuple[str, ...], search: list[str] | None, message: str) -> None:
    with pytest.raises(OptionError) as error:
        spaces.chosen("table", given, search, classifies=False)
    assert str(error.value) == message
