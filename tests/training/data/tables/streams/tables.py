"""A table with all kinds of columns, and folders of Parquet files of it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

ROWS = 1200


def mixed(rows: int = ROWS) -> pa.Table:
    """Numbers, booleans, strings with rare ones, dates, times and durations, some missing; some targets as well."""
    random = np.random.default_rng(0)
    number = random.normal(0, 1, rows)
    city = np.array(["Ulm", "Bern ", "Graz", None], object)[random.integers(0, 4, rows)]
    city[[3, 700, 1100]] = ["Rome", "Oslo", "Oslo"]
    day = dt.datetime(2020, 5, 17, 8, 30)  # noqa: DTZ001
    target = np.where(number + random.normal(0, 0.5, rows) > 0, "yes", "no").astype(object)
    target[random.integers(0, rows, 20)] = None
    return pa.table(
        {
            "number": pa.array(np.where(random.random(rows) < 0.1, np.nan, number)),
            "float": number.astype(np.float32),
            "count": pa.array([*random.integers(0, 50, rows).tolist()[:-1], None], pa.int16()),
            "price": [Decimal(int(each)) / 4 for each in random.integers(0, 999, rows)],
            "flag": pa.array([*(random.random(rows) < 0.5).tolist()[:-1], None]),
            "city": pa.array(city, pa.string()),
            "colour": pa.array(random.choice(["red", "blue"], rows)).dictionary_encode(),
            "code": random.integers(0, 5, rows),
            "at": [day + dt.timedelta(hours=int(each)) for each in random.integers(0, 9999, rows)],
            "text_date": [f"2021-0{each}-1{each}" for each in random.integers(1, 9, rows)],
            "spent": pa.array(random.integers(0, 10**6, rows), pa.duration("s")),
            "dollars": [f"${each},000" for each in random.integers(1, 999, rows)],
            "y": pa.array(target, pa.string()),
            "patient": [f"p{each}" for each in random.integers(0, 100, rows)],
            "part": random.choice(["train", "train", "val", "Test"], rows),
        }
    )


def write(table: pa.Table, folder: Path, *, files: int = 3, row_group: int = 100) -> Path:
    """Write ``table`` as some files in a folder, and return it."""
    folder.mkdir()
    step = -(-table.num_rows // files)
    for number in range(files):
        part = table.slice(number * step, step)
        parquet.write_table(part, folder / f"part-{number}.parquet", row_group_size=row_group)
    return folder
