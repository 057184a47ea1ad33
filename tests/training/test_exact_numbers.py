"""Numbers that float32 would round go from a file through training and a real server without loss.

Responses are compared with the values of the file in float64.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from service import artifact
from service.artifact import Artifact
from tests.service.running import Running
from tests.training.trained import golden_of
from training.cli.run import main

ROWS = 400
NOW = 1_700_000_000
QUICK = ("--epochs", "60", "--hidden", "16", "--lr", "0.01", "--numeric-bins", "8")
RANDOM = np.random.default_rng(0)


def sides() -> NDArray[np.int64]:
    """Distances from a threshold (rows,), none close to it."""
    return RANDOM.integers(5, 60, ROWS) * RANDOM.choice([-1, 1], ROWS)


# Two columns per table, which float32 rounds to a few values; the class says on which side of each threshold a row is.
FIRST, SECOND = sides(), sides()
TABLES = {
    "since": {"seconds": NOW + FIRST, "id": 2**24 + 2**28 + SECOND},
    "large": {"offset": 1e9 + FIRST / 60, "largest": 2**53 - 100 + SECOND},
}
CLASS = np.char.add(np.where(FIRST < 0, "before ", "after "), np.where(SECOND < 0, "low", "high"))
BUMP = RANDOM.normal(size=ROWS)
TARGET = NOW + 1800 + np.rint(600 * BUMP)


def write_csv(path: Path, columns: dict[str, Any]) -> None:
    rows = [columns, *zip(*(np.asarray(each).tolist() for each in columns.values()), strict=True)]
    path.write_text("".join(",".join("" if value is None else str(value) for value in row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exact")
    colour = np.where(RANDOM.random(ROWS) < 0.5, "red", "blue")
    maybe = [None if row % 5 == 0 else NOW + row for row in range(ROWS)]
    for name, columns in TABLES.items():
        write_csv(folder / f"{name}.csv", columns | {"colour": colour, "maybe": maybe, "class": CLASS})
        train(folder / f"{name}.csv", "class")
    write_csv(folder / "target.csv", {"bump": BUMP, "end": TARGET})
    train(folder / "target.csv", "end")
    return folder / "models"


def train(path: Path, target: str) -> None:
    assert main([str(path), "--target", target, "--models", str(path.parent / "models"), *QUICK]) == 0


@pytest.fixture(scope="module")
def client(models: Path) -> Iterator[httpx.Client]:
    with Running(models, "--precision", "fp32") as server, server.client() as client:
        yield client


def read(models: Path, name: str) -> tuple[Artifact, dict[str, NDArray[Any]]]:
    """A published version, and its golden rows."""
    version = artifact.read(models / name / "1")
    return version, golden_of(version)


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("name", TABLES)
def test_a_class_that_depends_on_exact_values_is_always_predicted(models: Path, name: str) -> None:
    version, golden = read(models, name)
    assert version.manifest.scores["fp32"]["accuracy"] == 1
    assert (version.manifest.input_dtype, version.manifest.output_dtype) == ("float64", "float32")
    example = json.loads(version.example)["inputs"][0]
    for index, (column, values) in enumerate(TABLES[name].items()):
        assert set(golden["inputs"][:, index].tolist()) <= set(values.tolist())
        assert example[column] in values.tolist()


@pytest.mark.parametrize("name", TABLES)
def test_every_encoding_gets_the_outputs_of_torch(models: Path, client: httpx.Client, name: str) -> None:
    version, golden = read(models, name)
    rows, path = golden["inputs"], f"/models/{name}/predict"
    features = version.manifest.features
    colours = features[2].categories

    def named(row: list[float]) -> dict[str, Any]:
        values = [None if value != value else value for value in row]  # noqa: PLR0124 - NaN
        return dict(zip((each.name for each in features), values, strict=True)) | {"colour": colours[int(row[2])]}

    requests = [
        ("application/json", json.dumps({"inputs": [named(row) for row in rows.tolist()]}).encode(), path),
        ("application/octet-stream", rows.astype("<f8").tobytes(), f"{path}?dtype=float64"),
        ("application/x-npy", npy(rows), path),
        ("application/x-npy", npy(np.asfortranarray(rows).astype(">f8")), path),
    ]
    for media_type, body, url in requests:
        response = client.post(url, content=body, headers={"content-type": media_type})
        assert response.status_code == 200, response.text
        np.testing.assert_allclose(response.json()["probabilities"], golden["probabilities"], atol=1e-5)
    assert client.post(path, content=version.example).status_code == 200

    known = ~np.isnan(rows).any(axis=1)
    integers = client.post(
        path, content=npy(rows[known].astype(np.int64)), headers={"content-type": "application/x-npy"}
    )
    if name == "since":
        np.testing.assert_allclose(integers.json()["probabilities"], golden["probabilities"][known], atol=1e-5)


def test_values_rounded_by_the_client_are_rejected(models: Path, client: httpx.Client) -> None:
    rows, path = read(models, "since")[1]["inputs"][:2], "/models/since/predict"
    raw = {"content-type": "application/octet-stream"}
    for body, headers, query, detail in (
        (
            npy(rows.astype(np.float32)),
            {"content-type": "application/x-npy"},
            "",
            "the array is of dtype float32, which cannot hold this model's values apart; make it float64 or int64 from "
            "the start",
        ),
        (rows.astype("<f4").tobytes(), raw, "?dtype=float32", "dtype is 'float32', and this model takes float64"),
        (
            rows.astype("<f4").tobytes(),
            raw,
            "",
            "the body's 32 bytes could be float32, and this model takes float64; say ?dtype=float64 if so",
        ),
        (
            rows.tobytes()[:-1],
            raw,
            "",
            "the body has 63 bytes, expected one or more rows of 4 values: 32 of float64",
        ),
    ):
        response = client.post(path + query, content=body, headers=headers)
        assert (response.status_code, response.json()["detail"]) == (422, detail)


def test_scores_of_a_target_use_the_values_of_the_file(models: Path, client: httpx.Client) -> None:
    """All rows of the file are sent over HTTP."""
    version, golden = read(models, "target")
    manifest = version.manifest
    assert (manifest.input_dtype, manifest.output_dtype) == ("float32", "float64")
    inputs = BUMP[:, None].tolist()
    response = client.post("/models/target/predict", json={"inputs": inputs})
    values = np.array(response.json()["predictions"])
    assert len(np.unique(values)) > 0.9 * ROWS
    assert r2_score(TARGET, values) > 0.98
    rounded = values.astype(np.float32).astype(np.float64)
    assert r2_score(TARGET, rounded) < r2_score(TARGET, values)

    accepted = {"accept": "application/x-npy"}
    array = np.load(
        io.BytesIO(client.post("/models/target/predict", json={"inputs": inputs}, headers=accepted).content)
    )
    assert (array.dtype, array.shape) == (np.float64, (ROWS, 1))
    np.testing.assert_array_equal(array[:, 0], values)

    sent = client.post(
        "/models/target/predict",
        content=npy(golden["inputs"]),
        headers=accepted | {"content-type": "application/x-npy"},
    )
    error = np.abs(np.load(io.BytesIO(sent.content)) - golden["prediction"]).max()
    assert error < 0.01  # seconds, of 3,600


def test_the_card_shows_exact_values(models: Path) -> None:
    card = (models / "since" / "1" / "README.md").read_text()
    shown = r"\| seconds \| numeric \| never \| 16999999\d\d to 17000000\d\d, mean 1[67]\d{8} ± \d\d\.\d+ \|"
    assert re.search(shown, card)
    note = "float32 cannot distinguish all values of 'seconds' and 'id' and 'maybe': inputs are float64"
    assert f"- {note}\n" in card
    card = (models / "target" / "1" / "README.md").read_text()
    assert f"- target end ({TARGET.min():.0f} to {TARGET.max():.0f}): numbers" in card


def test_the_server_states_its_input_and_output_dtypes(client: httpx.Client) -> None:
    described = client.get("/models/target").json()
    assert (described["input_dtype"], described["output_dtype"]) == ("float32", "float64")
    assert client.get("/models/since").json()["input_dtype"] == "float64"
