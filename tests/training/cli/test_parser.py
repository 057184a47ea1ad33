"""Every field of `Config` is an option, with its bounds and defaults in the help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest

from tests.training.data import numbered
from training.cli import parser
from training.config import DEFAULT, RECIPES, Config, flag_of
from training.data import source
from training.data.kind import DataKind
from training.errors import OptionError


def help_text(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kinds: Sequence[DataKind] = source.KINDS,
) -> str:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as ended:
        parser.parse(["--help"], kinds)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_help_has_every_option_with_its_bounds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(help_text(capsys, monkeypatch).split())
    for each in fields(Config):
        bounds = each.metadata["bounds"]
        allowed = "" if bounds is None else f"; {bounds}"
        assert f" {flag_of(each.name)}" in text
        assert f" {each.metadata['help']}{allowed} (default: " in text


def test_the_help_begins_with_the_usage_and_ends_with_valid_examples(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_text(capsys, monkeypatch)
    assert text.startswith("usage: mlp-train DATA [option ...]\n")
    examples = [line.split() for line in text.split("examples:\n", 1)[1].splitlines()]
    assert len(examples) == 4
    for program, *arguments in examples:
        assert program == "mlp-train"
        parser.parse(arguments).config(images=False)


def test_without_options_the_config_is_the_recipe_for_the_kind_of_data() -> None:
    command = parser.parse(["digits"])
    assert (command.data, command.data_options, command.models, command.name) == ("digits", {}, Path("models"), None)
    assert command.config(images=False) == Config(**RECIPES[DEFAULT]["table"])
    assert command.config(images=True) == Config(**RECIPES[DEFAULT]["image"])


@pytest.mark.parametrize("recipe", [name for name, kinds in RECIPES.items() if "image" in kinds])
def test_only_fashion_mnist_is_flipped_by_default(recipe: str) -> None:
    for words, flip in (("fashion-mnist", True), ("fashion-mnist --no-flip", False), ("digits", False), ("x", False)):
        assert parser.parse([*words.split(), "--recipe", recipe]).config(images=True).flip is flip


def test_options_override_a_named_recipe() -> None:
    command = parser.parse(["digits", "--recipe", "best", "--epochs", "7"])
    assert command.config(images=True) == Config(**RECIPES["best"]["image"] | {"epochs": 7})


def test_a_recipe_for_tables_is_rejected_for_images() -> None:
    command = parser.parse(["digits", "--recipe", "fast"])
    with pytest.raises(OptionError, match=r"^--recipe is 'fast', which is for tables only, and digits has images$"):
        command.config(images=True)


def test_best_is_an_ensemble_for_a_table_and_one_network_for_images() -> None:
    command = parser.parse(["houses.csv", "--target", "price", "--recipe", "best"])
    assert command.config(images=False).members == 8
    assert command.config(images=True).members == 1


def test_the_other_recipes_have_the_same_options() -> None:
    best, fast = parser.parse(["digits", "--epochs", "7"]).other_configs(images=False)
    assert (best, fast) == tuple(Config(**RECIPES[name]["table"] | {"epochs": 7}) for name in ("best", "fast"))
    (default,) = parser.parse(["digits", "--recipe", "best"]).other_configs(images=True)
    assert default == Config(**RECIPES[DEFAULT]["image"])


def test_options_override_the_default_recipe() -> None:
    words = "digits --hidden 256 128 --no-batch-norm --flip --lr 1e-2 --epochs 3 --activation tanh --seed 7"
    config = parser.parse(words.split()).config(images=True)
    assert (config.hidden, config.batch_norm, config.flip, config.lr) == ((256, 128), False, True, 0.01)
    assert (config.epochs, config.activation, config.seed) == (3, "tanh", 7)
    assert config.weight_decay == RECIPES[DEFAULT]["image"]["weight_decay"]


def test_data_options_are_those_that_were_given() -> None:
    words = "houses.csv --target price --missing NA -999 - --decimal , --thousands ."
    assert parser.parse(words.split()).data_options == {
        "targets": ("price",),
        "missing": ("NA", "-999", "-"),
        "decimal": ",",
        "thousands": ".",
    }
    assert parser.parse(["houses.csv", "--missing", "--target", "price"]).data_options == {
        "targets": ("price",),
        "missing": (),
    }


def test_a_new_kind_of_data_brings_its_options_and_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = (*source.KINDS, numbered.KIND)
    command = parser.parse(["numbered", "--rows", "30"], kinds)
    assert command.data_options == {"rows": 30}
    assert command.config(images=False).epochs == 3
    assert source.load(command.data, command.data_options, kinds=kinds).inputs.shape == (30, 1)
    text = help_text(capsys, monkeypatch, kinds)
    assert "diabetes, numbered\n" in text
    assert "\nrows that count up:\n  each a class of its own\n\n  --rows N " in text


def test_the_text_of_a_command_can_be_run_again() -> None:
    assert parser.parse(["digits", "--models", "my models"]).text == "python -m training digits --models 'my models'"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the following arguments are required: DATA"),
        ("digits --learning-rate 1", "unrecognized arguments: --learning-rate 1"),
        ("digits --epoch 1", "unrecognized arguments: --epoch 1"),
        ("digits --lr abc", "argument --lr: invalid float value: 'abc'"),
        ("digits --hidden", "argument --hidden: expected at least one argument"),
    ],
)
def test_arguments_that_cannot_be_parsed_end_with_status_2(
    capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        parser.parse(words.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"usage: mlp-train DATA [option ...]\nmlp-train: error: {message}\n"
