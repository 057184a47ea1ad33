"""Why two versions cannot be compared on the same rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from service.cells import Cells
from service.manifest import Feature, Manifest

_SHOWN: Final = 5


def differences(first: Manifest, second: Manifest, *, encoded: bool) -> list[str]:
    """Every reason, as a clause; none if the same rows and targets mean the same to both.

    ``encoded`` says that the rows are arrays, in which a category is a code and a column has no name.
    """
    return [
        *_outputs(first, second),
        *_features(first, second, encoded=encoded),
        *_reading("the {name} marks of their tables", first.cells, second.cells),
    ]


def _outputs(first: Manifest, second: Manifest) -> Iterator[str]:
    if first.task != second.task:
        yield f"the tasks are {first.task} and {second.task}"
        return
    if first.targets != second.targets:
        yield f"the targets are {_listed(first.targets)} and {_listed(second.targets)}"
    only_first = [label for label in first.classes if not _has(second, label)]
    only_second = [label for label in second.classes if not _has(first, label)]
    if only_first or only_second:
        yield f"the labels differ: {_only(only_first, only_second)}"


def _has(manifest: Manifest, label: object) -> bool:
    return any(each == label and type(each) is type(label) for each in manifest.classes)


def _features(first: Manifest, second: Manifest, *, encoded: bool) -> Iterator[str]:
    if first.input_shape != second.input_shape:
        yield f"the shapes of a row are {first.input_shape} and {second.input_shape}"
    left, right = ({each.name: each for each in manifest.features} for manifest in (first, second))
    only_first, only_second = [name for name in left if name not in right], [name for name in right if name not in left]
    if only_first or only_second:
        yield f"the features differ: {_only(only_first, only_second)}"
    elif encoded and list(left) != list(right):
        yield "the features are in another order"
    for name in left:
        if name in right:
            yield from _feature(left[name], right[name], encoded=encoded)
            if left[name].cells or right[name].cells:
                title = f"the {{name}} marks of feature {name.replace('{', '{{').replace('}', '}}')!r}"
                yield from _reading(title, left[name].cells or first.cells, right[name].cells or second.cells)


def _feature(first: Feature, second: Feature, *, encoded: bool) -> Iterator[str]:
    if first.kind != second.kind:
        yield f"feature {first.name!r} is {first.kind} and {second.kind}"
    elif encoded and first.categories != second.categories:
        yield f"feature {first.name!r} has other codes for its categories; compare on a CSV file"
    elif not encoded and first.format != second.format:
        yield f"feature {first.name!r} has dates in the formats {first.format} and {second.format}"


def _reading(title: str, first: Cells | None, second: Cells | None) -> Iterator[str]:
    first, second = first or Cells(), second or Cells()
    for name in ("decimal", "thousands"):
        marks = getattr(first, name), getattr(second, name)
        if len(set(marks)) > 1:
            yield f"{title.format(name=name)} are {marks[0]!r} and {marks[1]!r}"


def _only(first: Sequence[object], second: Sequence[object]) -> str:
    parts = [f"only the {which} has {_listed(each)}" for which, each in (("first", first), ("second", second)) if each]
    near = difflib.get_close_matches(str(first[0]), map(str, second), n=1) if first and second else []
    return " and ".join(parts) + (f" (renamed to {near[0]!r}?)" if near else "")


def _listed(names: Sequence[object]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"{name!r:.60}" for name in names[:_SHOWN]) + more
