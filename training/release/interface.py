"""What clients see of a version, and what a new version would break for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from service.cells import Cells, number_of, spellings_of
from service.dates import PATTERNS
from service.manifest import CLASSIFICATION, REGRESSION, Feature, InputDtype, Label, Manifest
from training.data import precision, summary
from training.data.dataset import Column, Dataset
from training.data.streamed import Statistics

_SHOWN: Final = 3
_SHOWN_CHARS: Final = 58
_NO_TABLE: Final = Cells(missing_numbers=())
_Name = TypeVar("_Name")
_TYPES: Final = {str: "strings", int: "integers", bool: "booleans"}


@dataclass(frozen=True, slots=True)
class Interface:
    """The part of a manifest that a client relies on. ``output_dtype`` is None before training."""

    task: str
    classes: tuple[Label, ...]
    targets: tuple[str, ...]
    features: tuple[Feature, ...]
    input_shape: tuple[int, ...]
    input_dtype: str
    output_dtype: str | None
    cells: Cells | None

    @classmethod
    def of(cls, manifest: Manifest) -> Interface:
        """The interface of a published version."""
        return cls(
            manifest.task,
            manifest.classes,
            manifest.targets,
            manifest.features,
            manifest.input_shape,
            manifest.input_dtype,
            manifest.output_dtype,
            manifest.cells,
        )

    @classmethod
    def of_dataset(cls, dataset: Dataset, train: NDArray[np.int64]) -> Interface:
        """The interface of a version trained on the rows ``train`` of ``dataset``."""
        return cls(
            CLASSIFICATION if dataset.classifies else REGRESSION,
            dataset.labels,
            dataset.target_names,
            features_of(dataset, train),
            dataset.shape,
            cast("InputDtype", str(dataset.inputs.dtype)),
            None,
            dataset.cells,
        )


def features_of(dataset: Dataset, train: NDArray[np.int64]) -> tuple[Feature, ...]:
    """The manifest's features, with statistics over the rows ``train``."""
    return tuple(
        Feature(
            column.name,
            column.type,
            column.missing,
            column.categories,
            column.other,
            found.mean,
            found.std,
            min=found.min,
            max=found.max,
            cells=column.cells,
            default=None if dataset.images else _default(column, found),
            format=column.format,
            has_time=column.has_time,
            float32=dataset.inputs.dtype == np.float64 and _fits_float32(column, dataset.inputs[train, index]),
        )
        for index, (column, found) in enumerate(zip(dataset.columns, summary.statistics(dataset, train), strict=True))
    )


def _fits_float32(column: Column, values: NDArray[np.float64]) -> bool:
    return column.type == "numeric" and not precision.needs_float64(values)


def _default(column: Column, found: Statistics) -> float | None:
    """What may stand for a missing or unknown value at serving, where training saw none; see `Feature.default`."""
    if column.missing:
        return None
    if not column.codes:
        return found.mean
    return float(len(column.categories) if column.other else int(np.argmax(found.counts)))


@dataclass(slots=True)
class Changes:
    """What changed between two versions, as clauses: what breaks a client, and what does not but may interest one."""

    breaking: list[str] = field(default_factory=list)
    compatible: list[str] = field(default_factory=list)


def changes(old: Interface, new: Interface) -> Changes:
    """Compare a ``new`` version with the ``old`` one.

    A change is breaking if a request that the old version answers would be rejected, read differently, or answered in
    other terms: other features, types, shapes, labels or targets.
    """
    found = Changes()
    if old.task != new.task:
        found.breaking.append(f"it is a {new.task}, and was a {old.task}")
    else:
        _compare_answers(old, new, found)
    _compare_names(old.features, new.features, found)
    _compare_features(old, new, found)
    _compare_rows(old, new, found)
    _compare_cells(old, new, found)
    return found


def listed(names: Iterable[object]) -> str:
    """The first names, quoted, and how many more there are."""
    texts = [_quoted(name) for name in names]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _quoted(name: object) -> str:
    """The name as Python writes it, without the end of a long string."""
    return repr(f"{name[: _SHOWN_CHARS - 1]}…" if isinstance(name, str) and len(name) > _SHOWN_CHARS else name)


def _compare_answers(old: Interface, new: Interface, found: Changes) -> None:
    if old.targets != new.targets:
        found.breaking.append(f"it predicts {listed(new.targets)}, and predicted {listed(old.targets)}")
    if new.output_dtype is not None and old.output_dtype != new.output_dtype:
        found.compatible.append(f".npy answers are {new.output_dtype}, and were {old.output_dtype}")
    types = [_TYPES[type(each.classes[0])] for each in (new, old) if each.classes]
    if len(set(types)) > 1:
        found.breaking.append(f"its labels are {types[0]}, and were {types[1]}")
        return
    gone, added = _differences(old.classes, new.classes)
    if gone:
        found.breaking.append(f"it lacks the label{_s(gone)} {listed(gone)}")
    if added:
        found.breaking.append(f"it has the new label{_s(added)} {listed(added)}, which clients do not know")
    if not gone and not added and old.classes != new.classes:
        found.breaking.append("its labels are in another order, which changes 'classes' and 'probabilities'")


def _compare_names(old: Sequence[Feature], new: Sequence[Feature], found: Changes) -> None:
    old_names, new_names = [each.name for each in old], [each.name for each in new]
    gone, added = _differences(old_names, new_names)
    if len(old) != len(new):
        found.breaking.append(f"a row has {len(new):,} features, and had {len(old):,}")
    if gone:
        found.breaking.append(f"it does not take the feature{_s(gone)} {listed(gone)}, which clients send")
    if added:
        found.breaking.append(f"it needs the new feature{_s(added)} {listed(added)}, which clients do not send")
    if not gone and not added and old_names != new_names:
        found.breaking.append("its features are in another order, which changes the meaning of rows sent as lists")


def _compare_features(old: Interface, new: Interface, found: Changes) -> None:
    by_name = {each.name: each for each in new.features}
    pairs = [(each, by_name[each.name]) for each in old.features if each.name in by_name]
    same_kind = [(before, after) for before, after in pairs if before.kind == after.kind]
    for kinds in dict.fromkeys((before.kind, after.kind) for before, after in pairs if before.kind != after.kind):
        names = [before.name for before, after in pairs if (before.kind, after.kind) == kinds]
        verbs = ("is", "was") if len(names) == 1 else ("are", "were")
        found.breaking.append(f"{listed(names)} {verbs[0]} {kinds[1]}, and {verbs[1]} {kinds[0]}")
    if names := [before.name for before, after in pairs if before.missing and not after.missing]:
        found.breaking.append(f"{listed(names)} may not be missing any more")
    exact = [before.name for before, after in pairs if before.float32 and not after.float32]
    if exact and new.input_dtype == "float64":
        found.breaking.append(f"{listed(exact)} may not be sent as float32 any more")
    if names := [before.name for before, after in pairs if after.missing and not before.missing]:
        found.compatible.append(f"{listed(names)} may be missing now")
    for before, after in same_kind:
        if before.kind == "categorical":
            _compare_categories(before, after, old.cells, new.cells, found)
        elif before.kind == "numeric" and (before.cells or after.cells):
            _compare_numbers(before, after, old.cells or _NO_TABLE, new.cells or _NO_TABLE, found)
        elif before.format != after.format:
            change = f"{before.name!r} has dates as {after.format}, and had them as {before.format}"
            (found.compatible if _reads(before, after) else found.breaking).append(change)


def _compare_numbers(old: Feature, new: Feature, old_cells: Cells, new_cells: Cells, found: Changes) -> None:
    """How strings are read as numbers, for a column that has rules of its own in one version at least."""
    before, after = old.cells or old_cells, new.cells or new_cells
    marks = [(each.decimal, each.thousands) for each in (before, after)]
    if marks[0][0] != marks[1][0] or (marks[0][1] and marks[0][1] != marks[1][1]):
        was, now = (f"decimal mark {decimal!r} and thousands mark {thousands!r}" for decimal, thousands in marks)
        found.breaking.append(f"{old.name!r} sent as a string is read with {now}, and was with {was}")
    if before.symbols and not after.symbols:
        found.breaking.append(f"{old.name!r} does not take currency or percent signs any more")
    elif before.units and after.units and set(before.units) - set(after.units):
        found.breaking.append(f"{old.name!r} has numbers in {after.units[0]}, and had them in {before.units[0]}")
    if before.multiples and not after.multiples:
        found.breaking.append(f"{old.name!r} does not take numbers such as 1.2k any more")
    gone, _ = _differences(before.missing_numbers, after.missing_numbers)
    gone = [each for each in gone if each not in old_cells.missing_numbers]  # the table's own are compared once
    if gone and old.missing:
        found.breaking.append(f"{_means(gone)} not mean a missing {old.name!r} any more")


def _reads(old: Feature, new: Feature) -> bool:
    """Whether ``new`` reads all dates that ``old`` reads, and reads them alike."""
    before, after = (PATTERNS[each.format] if each.format else () for each in (old, new))
    return set(before) <= set(after)


def _compare_categories(
    old: Feature, new: Feature, old_cells: Cells | None, new_cells: Cells | None, found: Changes
) -> None:
    gone, added = _differences(old.categories, new.categories)
    before, after = (() if cells is None else ("", *cells.missing_texts) for cells in (old_cells, new_cells))
    missing = [each for each in after if each in gone or (old.other and each not in before)]
    unknown = [each for each in gone if each not in missing]
    if missing and not new.missing:
        found.breaking.append(f"{old.name!r} does not take {listed(missing)} any more, the mark of a missing value")
    found.breaking += _lost_types(old, new, old_cells, new_cells, unknown)
    if unknown and not new.other:
        found.breaking.append(f"{old.name!r} does not know {listed(unknown)} any more")
    elif unknown:
        found.compatible.append(f"{old.name!r} counts {listed(unknown)} among the rare categories now")
    if old.other and not new.other:
        found.breaking.append(f"{old.name!r} does not take unknown categories any more")
    elif new.other and not old.other:
        found.compatible.append(f"{old.name!r} takes unknown categories now")
    if added:
        found.compatible.append(f"{old.name!r} also knows {listed(added)}")
    if old.categories != new.categories[: len(old.categories)] or (old.other and added):
        found.compatible.append(
            f"{old.name!r} has other codes, which arrays use for its categories: clients that send arrays must read "
            "them again from GET /models/{name}"
        )


def _lost_types(
    old: Feature, new: Feature, old_cells: Cells | None, new_cells: Cells | None, unknown: Sequence[str]
) -> Iterator[str]:
    """Which JSON types stood for a category and do not any more; ``unknown`` are the categories that are gone."""
    for kind, takes in (("numbers", _takes_numbers), ("true and false", _takes_booleans)):
        if takes(old, old_cells) and not takes(new, new_cells):
            yield f"{old.name!r} does not take {kind} any more, as no category looks like one"
    numerals = [each for each in unknown if number_of(each) is not None]
    if new_cells is None and new.other and numerals:
        yield f"{old.name!r} does not take {listed(numerals)} as a number any more"


def _takes_numbers(feature: Feature, cells: Cells | None) -> bool:
    """Whether a JSON number may stand for a category, as `service.inference.columns` decides."""
    rules = cells or Cells()
    return any(number_of(each) is not None or rules.number(each) is not None for each in feature.categories)


def _takes_booleans(feature: Feature, cells: Cells | None) -> bool:
    words = {*spellings_of(True), *spellings_of(False)}
    return cells is not None and not words.isdisjoint(feature.categories)


def _compare_rows(old: Interface, new: Interface, found: Changes) -> None:
    """Shape and dtype. Flat rows are always taken, whatever the shape."""
    if old.input_shape != new.input_shape and len(old.features) == len(new.features):
        if len(old.input_shape) == 1:
            found.compatible.append(f"a row may be nested to {new.input_shape} now")
        else:
            found.breaking.append(f"a row may be nested to {new.input_shape}, and to {old.input_shape} before")
    if old.input_dtype != new.input_dtype:
        pixels = {"uint8": ", pixels from 0 to 255"}
        found.breaking.append(
            f"its inputs are {new.input_dtype}{pixels.get(new.input_dtype, '')}, and were {old.input_dtype}"
            f"{pixels.get(old.input_dtype, '')}"
        )


def _compare_cells(old: Interface, new: Interface, found: Changes) -> None:
    """How strings in requests are read, for the kinds of columns that there are."""
    kinds = {each.kind for each in old.features}
    before, after = old.cells or _NO_TABLE, new.cells or _NO_TABLE
    if old.cells is not None and new.cells is None:
        if kinds - {"categorical"}:
            found.breaking.append("numbers sent as strings are not read any more, as the data is not a table")
        return
    if old.cells is not None and "numeric" in kinds:
        for flag, was, now in (
            ("--decimal", before.decimal, after.decimal),
            ("--thousands", before.thousands, after.thousands),
        ):
            if was != now:
                found.breaking.append(f"numbers sent as strings are read with {flag} {now!r}, and were with {was!r}")
    gone, added = _differences(before.missing_numbers, after.missing_numbers)
    if gone and any(each.missing for each in old.features if each.kind != "categorical"):
        found.breaking.append(f"{_means(gone)} not mean a missing value any more")
    if numbers := [each for each in added if "numeric" in kinds and after.number(each) is not None]:
        found.breaking.append(f"{listed(numbers)} now stand{_verb(numbers)} for a missing value, not for a number")
    gone, _ = _differences(before.missing_texts, after.missing_texts)
    if gone and any(each.missing for each in old.features if each.kind == "categorical"):
        found.breaking.append(f"{_means(gone)} not mean a missing category any more")


def _means(names: Sequence[str]) -> str:
    return f"{listed(names)} do{'es' if len(names) == 1 else ''}"


def _verb(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""


def _differences(old: Iterable[_Name], new: Iterable[_Name]) -> tuple[list[_Name], list[_Name]]:
    """What only ``old`` has, and what only ``new`` has, in their order."""
    before, after = dict.fromkeys(old), dict.fromkeys(new)
    return [each for each in before if each not in after], [each for each in after if each not in before]


def _s(names: Sequence[object]) -> str:
    return "s" if len(names) > 1 else ""
