"""What the readers of labelled rows share: batches, how a target is read, which rows are left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from service.cells import BOOLEANS, Cells, strip
from service.inference import columns
from service.inference.columns import Column
from service.inference.schema import Schema
from service.manifest import CLASSIFICATION, Label, Manifest

_BATCH_ROWS: Final = 4096
_BATCH_VALUES: Final = 2**21


class Batch(NamedTuple):
    """Rows of a file: the inputs for each view, (rows, features) float64 or as in the file, and the targets.

    Targets are indices of labels (rows,) int64, or numbers (rows, targets) float64.
    """

    inputs: tuple[NDArray[Any], ...]
    targets: NDArray[Any]


@dataclass(frozen=True, slots=True)
class View:
    """How one model reads rows, or several that read them alike. ``title`` names it in messages."""

    title: str
    schema: Schema
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, title: str, manifest: Manifest, schema: Schema) -> View:
        """The view of a model. Without rules for cells in its manifest, cells are read by the default rules."""
        cells = manifest.cells or Cells()
        return cls(title, schema, tuple(columns.of(feature, cells) for feature in manifest.features))


@dataclass(slots=True)
class Skipped:
    """How many rows are left out, by reason, with the first of each."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str, rows: int = 1) -> None:
        """Count rows that are left out."""
        self.counts[reason] = self.counts.get(reason, 0) + rows
        self.first.setdefault(reason, example)


def batch_rows(features: int) -> int:
    """How many rows of a batch keep its memory bounded."""
    return max(1, min(_BATCH_ROWS, _BATCH_VALUES // features))


class TargetCells:
    """Reads the target cells of a row, as training does."""

    def __init__(self, manifest: Manifest) -> None:
        self._cells = manifest.cells or Cells()
        self._own = tuple(manifest.target_cells.get(name, self._cells) for name in manifest.targets)
        self._classifies = manifest.task == CLASSIFICATION
        self._indices: dict[Label, int] = {label: index for index, label in enumerate(manifest.classes)}
        self._type = type(manifest.classes[0]) if manifest.classes else float
        self._marks = tuple(
            frozenset(("", *(cells.missing_texts if self._type is str else cells.missing_numbers)))
            for cells in self._own
        )

    def read(self, texts: list[str]) -> list[float] | None:
        """The index of a label, or the numbers of the targets; None if one is missing.

        Raises `ValueError`, with a clause, if a cell is no target.
        """
        values = list(map(self._value, map(strip, texts), self._own, self._marks))
        return None if None in values else [value for value in values if value is not None]

    def _value(self, text: str, cells: Cells, marks: frozenset[str]) -> float | None:
        if text in marks:
            return None
        if not self._classifies:
            return self._number(text, cells)
        label = self._label(text, cells)
        if label is None or label not in self._indices:
            raise ValueError(f"{text!r:.60} is no label of the models")
        return self._indices[label]

    def _number(self, text: str, cells: Cells) -> float | None:
        number = cells.number(text)
        if number is None or not abs(number) <= columns.FLOAT32_MAX:
            raise ValueError(f"{text!r:.60} is no finite number")
        return None if number in cells.sentinels else number

    def _label(self, text: str, cells: Cells) -> Label | None:
        if self._type is str:
            return text
        if self._type is bool:
            return BOOLEANS.get(text)
        number = cells.number(text)
        return int(number) if number is not None and number.is_integer() else None
