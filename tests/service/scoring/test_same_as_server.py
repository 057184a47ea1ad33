"""The answers are those of a real server, bit for bit."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.service.http.codecs.tables import as_arrow
from tests.service.quantized import publish_int8
from tests.service.running import Running
from tests.service.scoring.scoring import Scoring, publish_table

ARROW = "application/vnd.apache.arrow.stream"
ROWS = 1000


@pytest.fixture(scope="module")
def client(models: Path) -> Iterator[httpx.Client]:
    publish_int8(models, "int8")
    publish_table(models, "prices", targets=("price", "rent"))
    with Running(models, "--model", "small") as server, server.client() as client:
        yield client


def answers(client: httpx.Client, model: str, body: bytes, media_type: str, query: str = "") -> pa.Table:
    headers = {"content-type": media_type, "accept": ARROW}
    response = client.post(f"/models/{model}/predict{query}", content=body, headers=headers)
    assert response.status_code == 200, response.text
    return pa.ipc.open_stream(response.content).read_all()


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    for name in expected.column_names:
        if name != "class":
            assert found[name].combine_chunks().equals(expected[name].combine_chunks()), name


def numbers(rows: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(0, 1, (rows, 4)).astype(np.float32)


def table() -> dict[str, list[Any]]:
    """Typed values by column; a quarter of those that may be missing are None."""
    random = np.random.default_rng(7)

    def some(values: list[Any], *, missing: bool) -> list[Any]:
        chosen = [values[index] for index in random.integers(0, len(values), ROWS)]
        return [None if missing and random.random() < 0.25 else each for each in chosen]

    return {
        "id": list(range(ROWS)),
        "age": some([40.5, 1e-3, 7.0, -999.0, 3e3], missing=True),
        "height": random.normal(1.7, 0.1, ROWS).tolist(),
        "member": some([True, False], missing=True),
        "country": some(["France", "Germany", "Italy"], missing=True),
        "job": some(["cook", "nurse", "baker, pastry", 'a "quoted" one', "two\nlines"], missing=False),
        "day": some(["31/01/2020", "1.2.1999", "2024-02-29T12:30:00Z"], missing=True),
    }


def as_csv(columns: dict[str, list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True))
    return text.getvalue().encode()


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("model", ["table", "prices"])
def test_a_table_as_csv(client: httpx.Client, score: Scoring, model: str) -> None:
    body = as_csv(table())
    found = score.rows(model, score.write("rows.csv", body), *(["--probabilities"] if model == "table" else []))
    assert_same(found, answers(client, model, body, "text/csv", "?ignore_unknown=true"))


@pytest.mark.parametrize("model", ["table", "prices"])
def test_a_table_as_parquet(client: httpx.Client, score: Scoring, model: str) -> None:
    columns = table()
    body = as_arrow(pa.table(columns))
    options = ["--probabilities", "--top-k", "2"] if model == "table" else []
    query = "?ignore_unknown=true" + ("&top_k=2" if options else "")
    assert_same(
        score.rows(model, score.write("rows.parquet", columns), *options), answers(client, model, body, ARROW, query)
    )


@pytest.mark.parametrize(
    "kind", [pa.float16(), pa.float32(), pa.float64(), pa.int64(), pa.uint8(), pa.decimal128(9, 3)], ids=str
)
@pytest.mark.parametrize("model", ["small", "int8", "numbers"])
def test_numbers(client: httpx.Client, score: Scoring, model: str, kind: pa.DataType) -> None:
    """In all Arrow types, from rows that are more than one call of the network."""
    values = np.abs(numbers(ROWS).astype(np.float64)) * 20
    columns = {f"f{at}": pa.array(values[:, at]).cast(kind, safe=False) for at in range(4)}
    options = [] if model == "numbers" else ["--probabilities"]
    found = score.rows(model, score.write("rows.parquet", columns), *options)
    assert_same(found, answers(client, model, as_arrow(pa.table(columns)), ARROW))


def test_int8_is_what_runs(client: httpx.Client, score: Scoring) -> None:
    given = score.write("rows.parquet", {f"f{at}": numbers(3)[:, at] for at in range(4)})
    assert "int8@1 (cpu, int8)" in score("int8", given, score.folder / "one.csv").err
    assert client.get("/models/int8").json()["precision"] == "int8"
    found, full = (score.rows("int8", given, "--probabilities", *options) for options in ((), ("--precision", "fp32")))
    assert not found["probability_ape"].equals(full["probability_ape"])


@pytest.mark.usefixtures("short_chunks")
def test_bad_rows(client: httpx.Client, score: Scoring) -> None:
    """Their reasons are the server's, but for the number of the row, which the server's begin with."""
    columns = table()
    columns["height"][3] = None
    columns["job"][40] = None
    columns["country"][40] = "Spain"
    columns["day"][999] = "tomorrow"
    expected = answers(client, "table", as_csv(columns), "text/csv", "?ignore_unknown=true&on_error=row")
    found = score.rows("table", score.write("rows.csv", as_csv(columns)), "--on-error", "null", "--probabilities")
    assert_same(found.drop_columns(["error"]), expected.drop_columns(["error"]))
    reasons = [each if each is None else f"row {row}, {each}" for row, each in enumerate(found["error"].to_pylist())]
    assert reasons == expected["error"].to_pylist()
    assert sum(each is not None for each in reasons) == 3


def test_pictures(client: httpx.Client, score: Scoring) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (5, 4, 6), np.uint8)
    files = []
    for index, each in enumerate(pixels):
        file = io.BytesIO()
        Image.fromarray(each).save(file, "PNG")
        score.write(f"drawn/{index}.png", file.getvalue())
        files.append({"b64": base64.b64encode(file.getvalue()).decode()})
    response = client.post("/models/pictures/predict", json={"inputs": files}, headers={"accept": ARROW})
    expected = pa.ipc.open_stream(response.content).read_all()
    found = score.rows("pictures", score.folder / "drawn", "--probabilities")
    assert found["file"].to_pylist() == [f"{index}.png" for index in range(5)]
    assert_same(found, expected)
    np.savez(score.folder / "pixels.npz", images=pixels)
    assert_same(score.rows("pictures", score.folder / "pixels.npz", "--probabilities"), expected)
