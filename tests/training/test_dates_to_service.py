"""A table with dates goes through the command line and a real server, which reads the texts of the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from service import artifact
from service.artifact import Artifact
from service.dates import days_of
from tests.service.running import Running
from tests.training.trained import golden_of
from training.cli.run import main

Row = dict[str, str]
ROWS = 300
START = datetime.fromisoformat("2013-01-01")
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True)
class Served:
    version: Artifact
    rows: list[Row]
    card: str
    client: httpx.Client

    def predictions(self, content: bytes, content_type: str = "application/json", path: str = "/predict") -> list[Any]:
        response = self.client.post(path, content=content, headers={"content-type": content_type})
        assert response.status_code == 200, response.text
        found: list[Any] = response.json()["predictions"]
        return found


def flights() -> list[Row]:
    """Departures that are late in the evening and on weekends, and on days that were booked long before."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(ROWS):
        at = START + timedelta(hours=int(random.integers(0, 2 * 8760)), minutes=int(random.integers(0, 60)))
        booked = at - timedelta(days=int(random.integers(1, 200)))
        delay = at.hour + 5 * (at.weekday() > 4) + (at - booked).days / 20 + random.normal()
        found.append(
            {
                "scheduled": f"{at:%Y-%m-%d %H:%M}",
                "carrier": str(random.choice(["AA", "UA"])),
                "time": f"{at:%I:%M %p}",
                "month": f"{at:%b-%Y}",
                "booked": "" if random.random() < 0.1 else f"{booked:%m/%d/%Y}",
                "day": f"{at:%Y%m%d}",
                "delay": f"{delay:.2f}",
            }
        )
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("dates")
    rows = flights()
    (folder / "flights.csv").write_text(as_csv(rows))
    models = folder / "models"
    assert (
        main(
            [
                str(folder / "flights.csv"),
                "--target",
                "delay",
                "--models",
                str(models),
                "--epochs",
                "3",
                "--hidden",
                "8",
            ]
        )
        == 0
    )
    clients = [{name: row[name] for name in row if name != "delay"} for row in rows]
    with Running(models) as server, server.client() as client:
        published = models / "flights" / "1"
        yield Served(artifact.read(published), clients, (published / "README.md").read_text(), client)


def as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_arrow(columns: dict[str, pa.Array]) -> bytes:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def frame(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    for name, pattern in (
        ("scheduled", "%Y-%m-%d %H:%M"),
        ("month", "%b-%Y"),
        ("booked", "%m/%d/%Y"),
        ("day", "%Y%m%d"),
    ):
        table[name] = pd.to_datetime(table[name].replace("", None), format=pattern)
    return table


def test_the_manifest_has_the_formats(served: Served) -> None:
    manifest = served.version.manifest
    assert (manifest.format, manifest.input_dtype) == (2, "float64")
    assert [(each.name, each.kind, each.format, each.has_time, each.missing) for each in manifest.features] == [
        ("scheduled", "datetime", "year-month-day", True, False),
        ("carrier", "categorical", None, False, False),
        ("time", "datetime", "time", True, False),
        ("month", "datetime", "month-year", False, False),
        ("booked", "datetime", "month-day-year", False, True),
        ("day", "datetime", "yyyymmdd", False, False),
    ]
    assert manifest.reference is not None
    assert {each.name for each in manifest.reference.features if each.edges} >= {"scheduled", "time", "booked"}
    assert "| scheduled | datetime | never | 2013-" in served.card


def test_the_same_texts_get_the_same_answers_in_every_encoding(served: Served) -> None:
    rows = served.rows[:50]
    expected = served.predictions(json.dumps({"inputs": rows}).encode())
    strings = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    table = frame(rows)
    typed = strings | {name: pa.array(table[name]) for name in ("scheduled", "booked", "month", "day")}
    typed["time"] = pa.array([datetime.strptime(row["time"], "%I:%M %p").time() for row in rows], pa.time32("s"))  # noqa: DTZ007
    dates = typed | {"booked": typed["booked"].cast(pa.date32()), "day": typed["day"].cast(pa.date64())}
    iso = table.to_json(orient="records", date_format="iso")
    integers = [row | {"day": int(row["day"])} for row in rows]
    assert served.predictions(as_csv(rows).encode(), "text/csv") == expected
    assert served.predictions(as_arrow(strings), ARROW) == expected
    assert served.predictions(as_arrow(typed), ARROW) == expected
    assert served.predictions(as_arrow(dates), ARROW) == expected
    assert served.predictions(iso.encode()) == expected
    assert served.predictions(table.to_csv(index=False).encode(), "text/csv") == expected
    assert served.predictions(json.dumps(integers).encode()) == expected
    assert served.predictions(json.dumps({"instances": rows}).encode(), path="/v1/models/flights:predict") == expected


def test_arrays_and_tensors_have_days(served: Served) -> None:
    rows = [row for row in served.rows if row["booked"]][:20]
    expected = served.predictions(json.dumps(rows).encode())
    features = served.version.manifest.features
    values = [
        [
            float(each.categories.index(row[each.name]))
            if each.format is None
            else days_of(row[each.name], each.format)
            for each in features
        ]
        for row in rows
    ]
    array = np.array(values, np.float64)
    file = io.BytesIO()
    np.save(file, array)
    assert served.predictions(file.getvalue(), "application/x-npy") == expected
    assert served.predictions(array.tobytes(), "application/octet-stream", "/predict?dtype=float64") == expected
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [len(rows), 1], "data": [row[name] for row in rows]}
        for name in rows[0]
    ]
    document = served.client.post("/v2/models/flights/infer", json={"inputs": inputs}).json()
    assert document["outputs"][0]["data"] == expected
    described = served.client.get("/v2/models/flights").json()["inputs"]
    assert [each["datatype"] for each in described] == ["BYTES"] * 6


def test_golden_rows_and_the_example_are_answered(served: Served) -> None:
    torch = golden_of(served.version)
    example = served.client.post("/predict", content=served.version.example)
    assert example.status_code == 200
    (row,) = json.loads(served.version.example)["inputs"]
    assert row["scheduled"].startswith("201")
    assert "T" in row["scheduled"]
    file = io.BytesIO()
    np.save(file, torch["inputs"])
    found = served.predictions(file.getvalue(), "application/x-npy")
    assert np.allclose(np.array(found)[:, None], torch["prediction"], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("scheduled", "2013-02-30", "the string '2013-02-30', expected a date such as '2020-01-31'"),
        ("scheduled", None, "null, and the model allows no missing value here; send a date such as '2020-01-31'"),
        (
            "scheduled",
            1357034400000,
            "1357034400000, expected a date such as '2020-01-31'; send a string "
            "(in pandas: to_json(date_format='iso'))",
        ),
        ("booked", "31/01/2020", "the string '31/01/2020', expected a date such as '01/31/2020' or '2020-01-31'"),
        ("time", "25:00", "the string '25:00', expected a time such as '17:30'"),
        ("day", 20201301, "the string '20201301', expected a date such as '20200131' or '2020-01-31'"),
    ],
)
def test_a_bad_date_names_its_column(served: Served, name: str, value: object, detail: str) -> None:
    rows = [served.rows[0], served.rows[1] | {name: value}]
    response = served.client.post("/predict", json={"inputs": rows})
    assert (response.status_code, response.json()["detail"]) == (422, f"row 1, feature {name!r} is {detail}")
    assert response.json()["errors"][0]["feature"] == name


@pytest.mark.parametrize(
    ("name", "column", "detail"),
    [
        (
            "scheduled",
            pa.array([15_000]),
            "column 'scheduled' has the type int64, expected timestamps, dates or strings; convert it first",
        ),
        (
            "scheduled",
            pa.array([1], pa.time32("s")),
            "column 'scheduled' has the type time32[s], expected timestamps, dates or strings; convert it first",
        ),
        (
            "time",
            pa.array([1], pa.timestamp("s")),
            "column 'time' has the type timestamp[s], expected times or strings; convert it first",
        ),
        (
            "scheduled",
            pa.array([10**12], pa.timestamp("s")),
            "row 0, feature 'scheduled' is 1.15741e+07, expected days since 1970-01-01, from -719162 to 2932897",
        ),
        (
            "scheduled",
            pa.array([None], pa.timestamp("s")),
            "row 0, feature 'scheduled' is null, and the model allows no missing value here; send a date such as "
            "'2020-01-31'",
        ),
    ],
)
def test_a_bad_arrow_column_is_named(served: Served, name: str, column: pa.Array, detail: str) -> None:
    columns = {key: pa.array([value]) for key, value in served.rows[0].items()} | {name: column}
    response = served.client.post("/predict", content=as_arrow(columns), headers={"content-type": ARROW})
    assert (response.status_code, response.json()["detail"]) == (422, detail)


def test_bad_rows_of_arrow_are_answered_one_by_one(served: Served) -> None:
    columns = {name: pa.array([row[name] for row in served.rows[:2]]) for name in served.rows[0]}
    columns["scheduled"] = pa.array([START, None], pa.timestamp("us"))
    response = served.client.post(
        "/predict?on_error=row", content=as_arrow(columns), headers={"content-type": ARROW}
    ).json()
    assert response["predictions"][1] is None
    assert [each["row"] for each in response["errors"]] == [1]


def test_openapi_describes_dates(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    (row,) = (
        each
        for form in schema["anyOf"]
        for each in form.get("items", {}).get("anyOf", [])
        if each.get("type") == "object"
    )
    assert row["properties"]["scheduled"] == {
        "type": ["string"],
        "format": "date-time",
        "description": "a date such as 2020-01-31, and a time",
    }
    assert row["properties"]["booked"] == {
        "type": ["string", "null"],
        "format": "date",
        "description": "a date such as 2020-01-31 or 01/31/2020",
    }
    assert row["properties"]["time"]["format"] == "time"


def test_the_model_is_described_with_its_formats(served: Served) -> None:
    features = served.client.get("/models/flights").json()["features"]
    assert features[0]["format"] == "year-month-day"
    assert "format" not in features[1]
