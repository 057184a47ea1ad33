"""The options that a search varies, from where to where: the table of ranges, and what is chosen from it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from training.config import Config, Kind, Options, flag_of
from training.data.dataset import Dataset
from training.errors import OptionError


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``log`` if ratios matter rather than differences."""

    low: float
    high: float
    log: bool = False

    @property
    def integer(self) -> bool:
        """Whether only integers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{', by ratio' if self.log else ''}"


Space = Range | Options

# Two parameters stand for --hidden: layers of equal width.
_LAYERS: Final = "hidden_layers"
_UNITS: Final = "hidden_units"

# By kind of data and field of `Config`: the spaces of its parameters. Each contains the defaults of all recipes. Those
# for tables were chosen with the sets that benchmarks/search.py names.
SPACES: Final[dict[Kind, dict[str, dict[str, Space]]]] = {
    "table": {
        "lr": {"lr": Range(1e-3, 1.5e-2, log=True)},
        "hidden": {_LAYERS: Range(1, 3), _UNITS: Range(32, 256, log=True)},
        "dropout": {"dropout": Range(0.0, 0.5)},
        "weight_decay": {"weight_decay": Range(1e-3, 0.3, log=True)},
        "numeric_bins": {"numeric_bins": Options((0, 8, 16, 32))},
        "activation": {"activation": Options(("relu", "gelu", "silu"))},
        "members": {"members": Options((1, 4, 8))},
        "batch_size": {"batch_size": Options((64, 128, 256, 512, 1024))},
        "label_smoothing": {"label_smoothing": Range(0.0, 0.2)},
        "optimizer": {"optimizer": Options(("adamw", "adam", "sgd"))},
    },
    "image": {
        "lr": {"lr": Range(1e-3, 1.5e-2, log=True)},
        "hidden": {_LAYERS: Range(1, 3), _UNITS: Range(128, 1024, log=True)},
        "dropout": {"dropout": Range(0.0, 0.5)},
        "weight_decay": {"weight_decay": Range(1e-3, 0.3, log=True)},
        "flip": {"flip": Options((False, True))},
        "shift_pixels": {"shift_pixels": Range(0, 3)},
        "erase_pixels": {"erase_pixels": Range(0, 14)},
        "activation": {"activation": Options(("relu", "gelu", "silu"))},
        "batch_size": {"batch_size": Options((64, 128, 256, 512, 1024))},
        "label_smoothing": {"label_smoothing": Range(0.0, 0.2)},
        "whiten": {"whiten": Range(0.0, 0.2)},
        "batch_norm": {"batch_norm": Options((False, True))},
        "optimizer": {"optimizer": Options(("adamw", "adam", "sgd"))},
    },
}
# What is searched unless --search names other fields.
SEARCHED: Final[dict[Kind, tuple[str, ...]]] = {
    "table": ("lr", "hidden", "dropout", "weight_decay", "numeric_bins", "activation", "members"),
    "image": ("lr", "hidden", "dropout", "weight_decay", "flip", "shift_pixels", "erase_pixels"),
}
_CLASSES_ONLY: Final = ("label_smoothing",)


def kind_of(dataset: Dataset) -> Kind:
    """Whether ``dataset`` is of images or a table."""
    return "image" if dataset.images else "table"


def fields() -> tuple[str, ...]:
    """All fields that can be searched."""
    return tuple(dict.fromkeys(name for by_field in SPACES.values() for name in by_field))


def chosen(kind: Kind, given: Collection[str], search: Sequence[str] | None, *, classifies: bool) -> tuple[str, ...]:
    """The fields to search: those of ``search``, by default those of `SEARCHED` that are not ``given`` by the user.

    Raises `OptionError` if a field cannot be searched, or none is left.
    """
    if search is None:
        found = tuple(name for name in SEARCHED[kind] if name not in given)
        if not found:
            raise OptionError("all options that are searched by default have a value; leave one of them out")
        return found
    names = tuple(dict.fromkeys(each.replace("-", "_").strip("_") for each in search))
    for name in names:
        if name not in SPACES[kind]:
            raise OptionError(f"--search has {name!r}, which cannot be searched for this data; {_remedy(name, kind)}")
        if name in given:
            raise OptionError(f"--search has {name!r}, and {flag_of(name)} gives its value; leave out one of them")
        if name in _CLASSES_ONLY and not classifies:
            raise OptionError(
                f"--search has {name!r}, which is for classes, but there are numbers to predict; leave it out"
            )
    return names


def _remedy(name: str, kind: Kind) -> str:
    nearest = difflib.get_close_matches(name, SPACES[kind], n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"expected some of {', '.join(SPACES[kind])}"


def parameters(kind: Kind, names: Iterable[str]) -> dict[str, Space]:
    """The spaces of the parameters of these fields, by the parameters' names."""
    return {parameter: space for name in names for parameter, space in SPACES[kind][name].items()}


def values(config: Config, names: Iterable[str]) -> dict[str, Any]:
    """The parameters that stand for ``config``, whose hidden layers have equal widths if ``hidden`` is searched."""
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(config, name)
        found |= {_LAYERS: len(value), _UNITS: value[0]} if name == "hidden" else {name: value}
    return found


def starts(config: Config, others: Iterable[Config], names: Sequence[str]) -> list[dict[str, Any]]:
    """The parameters of those ``others`` that differ from ``config`` in these fields and no others."""
    within = [each for each in others if replace(config, **{name: getattr(each, name) for name in names}) == each]
    found = [values(each, names) for each in within]
    return [each for each in found if each != values(config, names)]


def options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Config` that these ``parameters`` stand for."""
    found = dict(parameters)
    if _LAYERS in found:
        found["hidden"] = (found.pop(_UNITS),) * found.pop(_LAYERS)
    return found
