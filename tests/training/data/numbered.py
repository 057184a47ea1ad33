"""A data kind for the tests: a new kind is one file and one entry in a list."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.data.dataset import Column, Dataset
from training.data.kind import DataKind, DataOption


def load(rows: int) -> Dataset:
    return Dataset(
        name="numbered",
        inputs=np.arange(rows, dtype=np.float32).reshape(-1, 1),
        targets=np.arange(rows),
        labels=tuple(range(rows)),
        columns=(Column("number"),),
        target_names=("number",),
        shape=(1,),
    )


KIND: Final = DataKind(
    description="rows that count up",
    load=lambda _name, options, _track: load(options["rows"]),
    names=("numbered",),
    options=(DataOption("rows", "--rows", "how many (default: 10)", default=10, type=int, metavar="N"),),
    options_help="each a class of its own",
    defaults={"epochs": 3},
)
