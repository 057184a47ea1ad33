"""Parse the command line: one option for each field of `Config`, with defaults by recipe and kind of data.

The parser of `mlp-tune` has the same options, and more.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from training.cli import cluster_options
from training.cluster.choice import Cluster
from training.config import DEFAULT, RECIPES, RECIPES_HELP, Config, Kind, flag_of
from training.data import source
from training.data.kind import DataKind, DataOption
from training.errors import OptionError
from training.run.secrets import without_passwords

_METAVARS: Final[dict[Any, str]] = {int: "N", float: "X", str: "NAME"}
_OWN: Final = ("data", "models", "name", "recipe", "breaking", "force", "mlflow", "tensorboard")
_DESCRIPTION: Final = "Train a multi-layer perceptron and publish it for mlp-serve, as the next version of its name."
_EXAMPLES: Final = """examples:
  mlp-train fashion-mnist --epochs 5
  mlp-train digits --hidden 256 128 --activation gelu --dropout 0.1
  mlp-train houses.csv --target price --drop id
  mlp-train photographs/ --image-size 28 28
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command line.

    ``options`` are the fields of `Config` that were given. ``text`` is the command itself, without the passwords of
    URLs. ``mlflow`` is a tracking URI, ``tensorboard`` a folder, ``cluster`` where to train; None if they were not
    given.
    """

    data: str
    data_options: dict[str, Any]
    data_defaults: Mapping[str, Any]
    models: Path
    name: str | None
    recipe: str
    breaking: bool
    force: bool
    mlflow: str | None
    tensorboard: Path | None
    cluster: Cluster | None
    options: dict[str, Any]
    text: str

    def config(self, *, images: bool) -> Config:
        """The options given, over the defaults of the data set, over those of the recipe. Raises `OptionError`."""
        kind, recipe = _kind(images=images), RECIPES[self.recipe]
        if kind not in recipe:
            only, found = ("tables", "has images") if images else ("images", "has none")
            raise OptionError(f"--recipe is {self.recipe!r}, which is for {only} only, and {self.data} {found}")
        return self._config(recipe[kind])

    def other_configs(self, *, images: bool) -> tuple[Config, ...]:
        """Likewise for each other recipe that there is for such data."""
        kind = _kind(images=images)
        others = (by_kind for name, by_kind in RECIPES.items() if name != self.recipe)
        return tuple(self._config(by_kind[kind]) for by_kind in others if kind in by_kind)

    def _config(self, recipe: Mapping[str, Any]) -> Config:
        return Config(**{**recipe, **self.data_defaults, **self.options})


def _kind(*, images: bool) -> Kind:
    return "image" if images else "table"


def parse(arguments: Sequence[str], kinds: Sequence[DataKind] = source.KINDS) -> Command:
    """Parse the ``arguments``, with the options of all ``kinds`` of data.

    Prints help or an error and exits if there is nothing to run. Raises `OptionError`.
    """
    parser = new_parser("mlp-train", _DESCRIPTION, _EXAMPLES, kinds)
    cluster_options.add(parser)
    return command_of(vars(parser.parse_args(arguments)), f"python -m training {shlex.join(arguments)}", kinds)


def command_of(given: dict[str, Any], text: str, kinds: Sequence[DataKind]) -> Command:
    """The command of what `new_parser` ``given`` parsed, with nothing else in it. Raises `OptionError`."""
    own = {name: given.pop(name) for name in _OWN}
    own["cluster"] = cluster_options.taken(given)
    kind = source.kind_of(own["data"], kinds)
    data_options = [each for _, group in source.option_groups(kinds) for each in group if each.name in given]
    return Command(
        **own,
        data_options={each.name: each.convert(given.pop(each.name)) for each in data_options},
        data_defaults=kind.defaults if kind else {},
        options={name: tuple(value) if isinstance(value, list) else value for name, value in given.items()},
        text=without_passwords(text),
    )


def new_parser(program: str, description: str, examples: str, kinds: Sequence[DataKind]) -> argparse.ArgumentParser:
    """A parser of the options that training has with the ``kinds`` of data."""
    parser = argparse.ArgumentParser(
        program,
        usage="%(prog)s DATA [option ...]",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("data", metavar="DATA", help=", ".join((*source.paths(kinds), *source.names(kinds))))
    folder: dict[str, Any] = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--models", **folder, default=Path("models"), help="folder to publish in (default: models)")
    parser.add_argument("--name", default=None, help="name of the model (default: that of the data set)")
    switch: dict[str, Any] = {"action": "store_true", "default": False}
    parser.add_argument("--breaking", **switch, help="publish even if clients of the newest version have to change")
    parser.add_argument("--force", **switch, help="publish even if it is worse than the newest version")
    _add_tracking(parser.add_argument_group("tracking", "off unless given; each needs the extra of its name"))
    for kind, options in source.option_groups(kinds):
        _add_options(parser.add_argument_group(kind.description, kind.options_help), options)
    group = parser.add_argument_group("training", "where two defaults are shown, they are for images | for tables")
    group.add_argument("--recipe", choices=tuple(RECIPES), default=DEFAULT, help=RECIPES_HELP)
    types = get_type_hints(Config)
    for each in fields(Config):
        group.add_argument(flag_of(each.name), dest=each.name, **_argument(types[each.name]), help=_help(each))
    return parser


def _add_tracking(group: Any) -> None:
    group.add_argument(
        "--mlflow",
        metavar="URI",
        default=None,
        help="log options, curves, scores and the version to this MLflow tracking server or database",
    )
    group.add_argument(
        "--tensorboard",
        type=Path,
        metavar="FOLDER",
        default=None,
        help="write curves, scores and the card's pictures for TensorBoard to a new folder in this one",
    )


def _add_options(group: Any, options: Sequence[DataOption]) -> None:
    for each in options:
        settings = {"type": each.type, "nargs": each.nargs, "choices": each.choices, "metavar": each.metavar}
        group.add_argument(each.flag, dest=each.name, help=each.help, **settings)


def _argument(hint: Any) -> dict[str, Any]:
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if hint in _METAVARS:
        return {"type": hint, "metavar": _METAVARS[hint]}
    return {"type": int, "nargs": "+", "metavar": _METAVARS[int]}


def _help(each: Field[Any]) -> str:
    bounds = each.metadata["bounds"]
    allowed = "" if bounds is None else f"; {bounds}"
    defaults = dict.fromkeys(_shown(recipe.get(each.name, each.default)) for recipe in RECIPES[DEFAULT].values())
    return f"{each.metadata['help']}{allowed} (default: {' | '.join(defaults)})"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
