"""The command line: every field of `Config` is an option, and a data set's kind gives what was not asked for."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from training.config import DEFAULT, RECIPES, RECIPES_MEANING, Config, flag_of, range_of
from training.data import source
from training.data.kind import DataKind, DataOption
from training.errors import OptionError

_METAVARS: Final[dict[Any, str]] = {int: "N", float: "X", str: "NAME"}
_EXAMPLES: Final = """examples:
  mlp-train fashion-mnist --epochs 5
  mlp-train digits --hidden 256 128 --activation gelu --dropout 0.1
  mlp-train houses.csv --target price --drop id
  mlp-train photographs/ --image-size 28 28
"""


@dataclass(frozen=True, slots=True)
class Command:
    """What was asked for: the data, where the model goes, and the choices among `Config`'s that were made."""

    data: str
    data_options: dict[str, Any]
    data_defaults: Mapping[str, Any]
    models: Path
    name: str | None
    recipe: str
    chosen: dict[str, Any]
    text: str

    def config(self, *, images: bool) -> Config:
        """All choices: those made over those that suit the data set, and its kind. Raises `OptionError`."""
        recipe = RECIPES[self.recipe]
        kind = "image" if images else "table"
        if kind not in recipe:
            raise OptionError(f"--recipe is {self.recipe!r}, which is for images, and {self.data} has none")
        return Config(**(recipe[kind] | dict(self.data_defaults) | self.chosen))


def parse(arguments: Sequence[str], kinds: Sequence[DataKind] = source.KINDS) -> Command:
    """Read the command line; prints the help, or what is wrong with it, and exits where there is nothing to run."""
    parser = argparse.ArgumentParser(
        "mlp-train",
        usage="%(prog)s DATA [option ...]",
        description="Train a multi-layer perceptron and publish it for mlp-serve, as the next version of its name.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("data", metavar="DATA", help=", ".join((*source.paths(kinds), *source.names(kinds))))
    folder: dict[str, Any] = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--models", **folder, default=Path("models"), help="to publish in (default: models)")
    parser.add_argument("--name", default=None, help="the model's name (default: the data set's)")
    for kind, options in source.option_groups(kinds):
        _add_options(parser.add_argument_group(kind.description, kind.options_help), options)
    group = parser.add_argument_group("training", "defaults as for images | for tables, where they differ")
    group.add_argument("--recipe", choices=tuple(RECIPES), default=DEFAULT, help=RECIPES_MEANING)
    types = get_type_hints(Config)
    for each in fields(Config):
        group.add_argument(flag_of(each.name), dest=each.name, **_kind(types[each.name]), help=_help(each))
    given = vars(parser.parse_args(arguments))
    own = {name: given.pop(name) for name in ("data", "models", "name", "recipe")}
    found = source.kind_of(own["data"], kinds)
    own["data_defaults"] = found.defaults if found else {}
    options = [option for _, group in source.option_groups(kinds) for option in group if option.name in given]
    own["data_options"] = {option.name: option.convert(given.pop(option.name)) for option in options}
    if "hidden" in given:
        given["hidden"] = tuple(given["hidden"])
    return Command(**own, chosen=given, text=f"python -m training {shlex.join(arguments)}")


def _add_options(group: Any, options: Sequence[DataOption]) -> None:
    for each in options:
        settings = {"type": each.type, "nargs": each.nargs, "choices": each.choices, "metavar": each.metavar}
        group.add_argument(each.flag, dest=each.name, help=each.help, **settings)


def _kind(hint: Any) -> dict[str, Any]:
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if hint in _METAVARS:
        return {"type": hint, "metavar": _METAVARS[hint]}
    return {"type": int, "nargs": "+", "metavar": _METAVARS[int]}


def _help(each: Any) -> str:
    bounds = each.metadata
    if bounds["among"]:
        allowed = f"; one of {', '.join(bounds['among'])}"
    elif bounds["ge"] is not None:
        allowed = f"; {range_of(bounds)}"
    else:
        allowed = ""
    defaults = dict.fromkeys(_shown(recipe.get(each.name, each.default)) for recipe in RECIPES[DEFAULT].values())
    return f"{bounds['meaning']}{allowed} (default: {' | '.join(defaults)})"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
