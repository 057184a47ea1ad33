"""Parse the command line: one option for each field of `Config`, with defaults by recipe and kind of data."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from training.config import DEFAULT, RECIPES, RECIPES_HELP, Config, flag_of
from training.data import bundled, fashion_mnist
from training.data.images import arrays
from training.data.tables.reader import SUFFIXES
from training.data.tables.table_file import Choices
from training.data.tables.targets import TASKS
from training.errors import OptionError

_YOURS: Final = f"your table ({', '.join(SUFFIXES)}), your images ({arrays.SUFFIX}, or a folder of pictures)"
_METAVARS: Final[dict[Any, str]] = {int: "N", float: "X", str: "NAME"}
_EXAMPLES: Final = """examples:
  mlp-train fashion-mnist --epochs 5
  mlp-train digits --hidden 256 128 --activation gelu --dropout 0.1
  mlp-train houses.csv --target price --drop id
  mlp-train photographs/ --image-size 28 28
"""
_MAX_EDGE_PIXELS: Final = 1024


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command line; ``options`` are the fields of `Config` that were given, ``text`` is the command itself."""

    data: str
    data_dir: Path | None
    table: Choices
    image_size: tuple[int, int] | None
    models: Path
    name: str | None
    recipe: str
    options: dict[str, Any]
    text: str

    def config(self, *, images: bool) -> Config:
        """The options given, over the defaults of the data set, over those of the recipe. Raises `OptionError`."""
        recipe = RECIPES[self.recipe]
        kind = "image" if images else "table"
        if kind not in recipe:
            raise OptionError(f"--recipe is {self.recipe!r}, which is for images only, and {self.data} has none")
        own = fashion_mnist.CHOICES if self.data == fashion_mnist.NAME else {}
        return Config(**(recipe[kind] | own | self.options))


def parse(arguments: Sequence[str]) -> Command:
    """Parse the ``arguments``; print help or an error and exit if there is nothing to run. Raises `OptionError`."""
    parser = argparse.ArgumentParser(
        "mlp-train",
        usage="%(prog)s DATA [option ...]",
        description="Train a multi-layer perceptron and publish it for mlp-serve, as the next version of its name.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    names = ", ".join((fashion_mnist.NAME, *bundled.LOADERS))
    parser.add_argument("data", metavar="DATA", help=f"{_YOURS}, or a data set: {names}")
    folder: dict[str, Any] = {"type": Path, "metavar": "FOLDER"}
    parser.add_argument("--data-dir", **folder, default=None, help="where Fashion-MNIST's four .gz files are")
    parser.add_argument("--models", **folder, default=Path("models"), help="folder to publish in (default: models)")
    parser.add_argument("--name", default=None, help="name of the model (default: that of the data set)")
    _add_table(parser)
    pictures = parser.add_argument_group("your pictures", "a folder for each class; they are taken as grey")
    size: dict[str, Any] = {"type": int, "nargs": 2, "metavar": ("HEIGHT", "WIDTH"), "default": None}
    pictures.add_argument("--image-size", **size, help="to bring them to, in pixels (default: as they are)")
    group = parser.add_argument_group("training", "where two defaults are shown, they are for images | for tables")
    group.add_argument("--recipe", choices=tuple(RECIPES), default=DEFAULT, help=RECIPES_HELP)
    types = get_type_hints(Config)
    for each in fields(Config):
        group.add_argument(flag_of(each.name), dest=each.name, **_argument(types[each.name]), help=_help(each))
    given = vars(parser.parse_args(arguments))
    own = {name: given.pop(name) for name in ("data", "data_dir", "models", "name", "recipe")}
    own["image_size"] = _image_size(given.pop("image_size"))
    own["table"] = Choices(
        tuple(given.pop("target")),
        given.pop("task"),
        tuple(given.pop("categorical")),
        tuple(given.pop("drop")),
        None if (missing := given.pop("missing")) is None else tuple(missing),
        given.pop("decimal"),
        given.pop("thousands"),
    )
    if "hidden" in given:
        given["hidden"] = tuple(given["hidden"])
    return Command(**own, options=given, text=f"python -m training {shlex.join(arguments)}")


def _add_table(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("your table", "its columns' kinds are told by their values; correct them here")

    def add(flag: str, meaning: str) -> None:
        group.add_argument(flag, nargs="+", default=(), metavar="COLUMN", help=meaning)

    add("--target", "to predict; several where they are numbers")
    add("--categorical", "to take for categories though they look like something else, as codes do")
    add("--drop", "to leave out")
    group.add_argument(
        "--missing",
        nargs="*",
        metavar="TEXT",
        default=None,
        help="texts that stand for a missing value, in all columns; without any, the empty text alone (default: among "
        "numbers NA, nan, null, None, ? and the like, among texts the empty one)",
    )
    marks: dict[str, Any] = {"metavar": "MARK", "default": None}
    group.add_argument("--decimal", **marks, help="what begins a number's fraction; . or , (default: .)")
    group.add_argument("--thousands", **marks, help="what parts a number's thousands; . , ' or a space (default: none)")
    group.add_argument(
        "--task", choices=TASKS, default=TASKS[0], help="auto: texts, booleans and few whole numbers are classes"
    )


def _image_size(given: list[int] | None) -> tuple[int, int] | None:
    if given is None:
        return None
    height, width = given
    if not (1 <= height <= _MAX_EDGE_PIXELS and 1 <= width <= _MAX_EDGE_PIXELS):
        raise OptionError(f"--image-size is {height} {width}, expected 1 to {_MAX_EDGE_PIXELS:,} each")
    return height, width


def _argument(hint: Any) -> dict[str, Any]:
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if hint in _METAVARS:
        return {"type": hint, "metavar": _METAVARS[hint]}
    return {"type": int, "nargs": "+", "metavar": _METAVARS[int]}


def _help(each: Any) -> str:
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
