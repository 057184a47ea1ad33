"""The classes of a streamed table: found while its rows go by, then sorted as those of a table in memory."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset, Label, join_names
from training.data.tables.streams.encoder import Codes
from training.data.tables.streams.running import Counts
from training.data.tables.targets import MAX_INTEGER_CLASSES

_MAX_LISTED: Final = 10
_MAX_CLASSES: Final = 100_000


class Classes:
    """The classes in ``encoding``, with their training rows in ``counts``.

    ``labels`` are in their order, ``rows`` int64 (classes,) counts the training rows of each, and ``codes`` int64
    (classes,) gives the place of each among them by its code in ``encoding``.
    """

    def __init__(self, look: Dataset, encoding: Codes, counts: Counts) -> None:
        self._name = look.target_names[0]
        self._integers = type(look.labels[0]) is int
        self._encoding = encoding
        names = list(encoding.names)
        found = [_label(name, type(look.labels[0])) for name in names]
        order = sorted(range(len(names)), key=found.__getitem__ if self._integers else names.__getitem__)
        self._names = [names[place] for place in order]
        self.labels: tuple[Label, ...] = tuple(found[place] for place in order)
        self.rows: NDArray[np.int64] = counts.of(len(names))[order]
        self.codes: NDArray[np.int64] = np.argsort(order)

    def fix(self) -> None:
        """Make the encoding give the final codes."""
        self._encoding.fix(self._names, other=False)

    def faults(self, *, inferred: bool) -> Iterator[str]:
        """What is wrong with the classes; ``inferred`` if the user did not say that there are some."""
        if fraction := next((name for name in self._names if self._integers and Decimal(name) % 1), None):
            yield (
                f"target {self._name!r} has {fraction}, and a first look had integers only; use --task regression to "
                "predict numbers"
            )
        elif inferred and self._integers and len(self.labels) > MAX_INTEGER_CLASSES:
            yield (
                f"target {self._name!r} has {len(self.labels):,} different integers, and a first look had few; use "
                "--task classification to treat each as a class, or --task regression to predict numbers"
            )
        elif len(self.labels) > _MAX_CLASSES:
            yield f"target {self._name!r} has {len(self.labels):,} classes, expected at most {_MAX_CLASSES:,}"
        if absent := [repr(label) for label, rows in zip(self.labels, self.rows, strict=True) if not rows]:
            yield f"the classes {join_names(absent, _MAX_LISTED)} have no training rows; add some, or leave them out"


def _label(name: str, kind: type) -> Label:
    if kind is bool:
        return name == "true"
    return int(Decimal(name)) if kind is int else name
