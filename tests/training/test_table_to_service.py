"""A table goes through the command line and a real server, which responds with the outputs of torch.

The golden rows of a published version have torch's outputs; here they are sent as a client has them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from service import artifact
from service.cells import Cells
from service.manifest import Feature
from tests.service.running import Running
from tests.training.trained import golden_of
from training.cli.run import main

ROWS = 400
QUICK = ("--epochs", "12", "--hidden", "16", "--batch-size", "32")
UNKNOWN = "a job nobody had"


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, on one thread as the network is tiny."""
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def people() -> dict[str, list[Any]]:
    """Some ages are missing, some jobs are rare; the young and the nurses mostly answer yes."""
    random = np.random.default_rng(0)
    ages = random.uniform(18, 90, ROWS).round(1).tolist()
    jobs = random.choice(
        ["cook", "nurse", *(f"job {number}" for number in range(60))], ROWS, p=[0.3, 0.4] + [0.005] * 60
    )
    members = random.random(ROWS) < 0.5
    likely = np.where((np.array(ages) < 40) | (jobs == "nurse"), 0.85, 0.1)
    return {
        "age": [None if random.random() < 0.2 else age for age in ages],
        "job": jobs.tolist(),
        "member since 2020": members.tolist(),
        "country": random.choice(["France", "Germany"], ROWS).tolist(),
        "visits": random.integers(0, 9, ROWS).tolist(),
        "answer": np.where(random.random(ROWS) < likely, "yes", "no").tolist(),
    }


def write_csv(path: Path, columns: dict[str, list[Any]]) -> None:
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join("" if value is None else str(value) for value in row) + "\n" for row in rows))


def as_json(features: Sequence[Feature], row: Sequence[float]) -> dict[str, Any]:
    """A row of the network's inputs as a client sends it: by name, with strings, booleans and nulls."""

    def value_of(feature: Feature, value: float) -> Any:
        if np.isnan(value):
            return None
        if feature.kind == "categorical":
            return (*feature.categories, UNKNOWN)[int(value)]
        return bool(value) if feature.kind == "boolean" else value

    return {feature.name: value_of(feature, value) for feature, value in zip(features, row, strict=True)}


def predict(client: httpx.Client, rows: list[dict[str, Any]]) -> dict[str, Any]:
    response = client.post("/predict", json={"inputs": rows})
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_a_table_of_people(tmp_path: Path) -> None:
    write_csv(tmp_path / "people.csv", people())
    models = tmp_path / "models"
    done = train(str(tmp_path / "people.csv"), "--target", "answer", "--models", str(models), *QUICK)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^job +categorical +never +", done.stderr, re.MULTILINE)
    assert "target answer: 2 classes (no, yes)" in done.stderr

    version = artifact.read(models / "people" / "1")
    features = version.manifest.features
    assert [(each.kind, each.missing, each.other) for each in features] == [
        ("numeric", True, False),
        ("categorical", False, True),
        ("boolean", False, False),
        ("categorical", False, False),
        ("numeric", False, False),
    ]
    assert version.manifest.classes == ("no", "yes")
    card = (models / "people" / "1" / "README.md").read_text()
    visits = features[4]
    figures = f"{visits.min:.4g} to {visits.max:.4g}, mean {visits.mean:.4g} ± {visits.std:.4g}"
    assert f"| visits | numeric | never | {figures} |\n" in card
    assert "- target answer: 2 classes (no, yes)\n" in card

    with Running(models) as server, server.client() as client:
        torch = golden_of(version)
        rows = [as_json(features, row) for row in torch["inputs"].tolist()]
        assert None in [row["age"] for row in rows]
        assert UNKNOWN in [row["job"] for row in rows]
        response = predict(client, rows)
        assert np.abs(np.array(response["probabilities"]) - torch["probabilities"]).max() < 1e-5
        assert response["predictions"] == [("no", "yes")[code] for code in torch["prediction"].tolist()]

        example = client.post("/predict", content=version.example)
        assert example.status_code == 200, example.text

        for name, value, detail in (
            ("age", "old", "the string 'old', expected a number"),
            ("country", "Gemany", "the string 'Gemany', a category the model does not know; did you mean 'Germany'?"),
            ("country", None, "null, and the model allows no missing value here; send a string"),
            ("visits", None, "null, and the model allows no missing value here; send a number"),
        ):
            rejected = client.post("/predict", json={"inputs": [rows[0], rows[1] | {name: value}]})
            assert (rejected.status_code, rejected.json()["detail"]) == (422, f"row 1, feature {name!r} is {detail}")
            assert rejected.json()["errors"][0]["feature"] == name


def test_codes_missing_values_and_european_numbers_are_sent_as_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row of the file's strings, and one of JSON numbers, get the outputs of their golden row."""
    random = np.random.default_rng(0)
    columns: dict[str, list[str]] = {
        "zip": random.choice(["01067", "1067", "10115"], ROWS).tolist(),
        "country": random.choice(["NA", " DE", "FR "], ROWS).tolist(),
        "price": random.choice(["19.118,5", "999", "1.250", "NA", " "], ROWS).tolist(),
        "member": random.choice(["TRUE", "false", "NA"], ROWS).tolist(),
    }
    columns["code"] = [{"01067": "001", "1067": "01", "10115": "1"}[code] for code in columns["zip"]]
    path, models = tmp_path / "shop.csv", tmp_path / "models"
    path.write_text("".join(";".join(row) + "\n" for row in [columns, *zip(*columns.values(), strict=True)]))
    arguments = [str(path), "--target", "code", "--models", str(models), *QUICK, "--thousands", "."]
    assert main([*arguments, "--categorical", "zip"]) == 0
    log = capsys.readouterr().err
    assert f"country has 'NA' {columns['country'].count('NA')}; if they mean" in log
    missing = {text: columns["price"].count(text) for text in ("NA", " ")}
    assert f"price: {sum(missing.values())} missing (" in log
    assert f"'NA' {missing['NA']}" in (models / "shop" / "1" / "README.md").read_text()

    version = artifact.read(models / "shop" / "1")
    assert version.manifest.cells == Cells(decimal=",", thousands=".")
    assert sorted(map(str, version.manifest.classes)) == ["001", "01", "1"]
    zips, countries, *_ = version.manifest.features
    assert (zips.categories, countries.categories) == (("01067", "10115", "1067"), ("DE", "FR", "NA"))
    with Running(models, "--precision", "fp32") as server, server.client() as client:
        names = [feature.name for feature in version.manifest.features]
        strings = [dict(zip(names, row, strict=True)) for row in zip(*(columns[name] for name in names), strict=True)]
        prices = {"19.118,5": 19118.5, "999": 999, "1.250": 1250.0, "NA": None, " ": None}
        members = {"TRUE": True, "false": 0, "NA": None}
        typed = [
            row
            | {"price": prices[row["price"]], "member": members[row["member"]], "country": row["country"].strip()}
            | {"zip": 10115 if row["zip"] == "10115" else row["zip"]}
            for row in strings
        ]
        probabilities = predict(client, strings)["probabilities"]
        assert probabilities == predict(client, typed)["probabilities"]

        codes = [
            (zips.categories.index(row["zip"]), countries.categories.index(row["country"].strip())) for row in strings
        ]
        numbers = [(row["price"], row["member"]) for row in typed]
        by_hand = np.concatenate([np.array(codes), np.array(numbers, np.float64)], axis=1)
        torch = golden_of(version)
        for inputs, expected in zip(torch["inputs"], torch["probabilities"], strict=True):
            alike = [np.array_equal(row, inputs, equal_nan=True) for row in by_hand]
            assert np.abs(np.array(probabilities[alike.index(True)]) - expected).max() < 1e-5
        rejected = client.post("/predict", json={"inputs": strings[0] | {"zip": 1068}})
        assert (rejected.status_code, rejected.json()["errors"][0]["feature"]) == (422, "zip")


def test_several_targets_from_parquet(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    size, city = random.uniform(30, 200, ROWS), random.choice(["Bern", "Rome"], ROWS)
    price = size * np.where(city == "Bern", 9000, 4000) + random.normal(0, 1e4, ROWS)
    table = pa.table(
        {"size": size, "built": random.integers(1950, 2020, ROWS), "city": city, "price": price, "rent": price / 400}
    )
    parquet.write_table(table, tmp_path / "houses.parquet")
    models = tmp_path / "models"
    arguments = [str(tmp_path / "houses.parquet"), "--target", "price", "rent", "--models", str(models)]
    assert main([*arguments, "--loss", "huber", "--epochs", "40", "--hidden", "32"]) == 0
    version = artifact.read(models / "houses" / "1")
    assert (version.manifest.task, version.manifest.targets) == ("regression", ("price", "rent"))
    assert version.manifest.scores["fp32"]["r2"] > 0.9
    card = (models / "houses" / "1" / "README.md").read_text()
    (price,) = re.findall(r"\| price \| .* \| ([\d.]+) \|\n", card)
    (rent,) = re.findall(r"\| rent \| .* \| ([\d.]+) \|\n", card)
    assert (float(price) + float(rent)) / 2 == pytest.approx(version.manifest.scores["fp32"]["r2"], abs=1e-3)
    assert "![predicted against true values, and residuals](predicted.png)" in card

    with Running(models) as server, server.client() as client:
        torch = golden_of(version)
        rows = [as_json(version.manifest.features, row) for row in torch["inputs"].tolist()]
        values = np.array(predict(client, rows)["predictions"])
        assert np.abs(values / torch["prediction"] - 1).max() < 1e-5


def test_a_table_without_the_target_ends_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "people.csv"
    write_csv(path, people())
    assert main([str(path), "--target", "anser", "--models", str(tmp_path / "models")]) == 1
    error = f"mlp-train: --target: {path} has no column 'anser'; did you mean 'answer'?\n"
    assert capsys.readouterr() == ("", f"reading {path}\n{error}")
    assert not (tmp_path / "models").exists()
