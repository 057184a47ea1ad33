"""Values that training never saw: refused, or answered by defaults with a warning; and columns that are no features."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from service import artifact
from service.grpc import infer_request
from service.grpc.infer_request import InferRequest
from service.grpc.protocol import GrpcProtocol
from service.http.messages import Response
from service.inference.steps import finish
from service.manifest import Feature
from service.requests import RequestRecord
from tests.service.grpc.running_grpc import ModelInferRequest
from tests.service.http.codecs.tables import as_arrow, as_csv
from tests.service.http.protocols.application import Application
from tests.service.http.protocols.test_open_inference_v2 import tensor
from tests.service.published import TABLE, publish

FEATURES = (
    Feature("age", "numeric", False, (), False, 40.0, 12.0, 0.0, 99.0, default=40.0),
    Feature("member", "boolean", False, (), False, 0.25, 0.5, 0.0, 1.0, default=0.25),
    Feature("city", "categorical", False, ("Köln", "Rome"), False, 0.0, 0.0, 0.0, 0.0, default=1.0),
    Feature("job", "categorical", False, ("cook", "nurse"), True, 0.0, 0.0, 0.0, 0.0, default=2.0),
    Feature("plan", "categorical", True, ("a", "b"), False, 0.0, 0.0, 0.0, 0.0),
)
NAMES = [feature.name for feature in FEATURES]
GOOD = {"age": 30.5, "member": True, "city": "Köln", "job": "nurse", "plan": "b"}
# What training never saw, and what stands for it.
UNSEEN = [GOOD, {"age": None, "member": None, "city": "Oslo", "job": None, "plan": "z"}]
STANDS_FOR = [[30.5, 1, 0, 1, 1], [40.0, 0.25, 1, 2, np.nan]]
WARNING = "imputed 3 missing and 2 unknown values in 1 row: 'age' (1), 'member' (1), 'city' (1), 'job' (1), 'plan' (1)"
TYPES = {"age": pa.float64(), "member": pa.bool_(), "id": pa.int64()}
Row = dict[str, Any]
Send = Callable[[Application, list[Row]], httpx.Response]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "small", features=FEATURES, targets=("price",))
    manifest = folder / "small" / "1" / artifact.MANIFEST
    document = json.loads(manifest.read_text())
    document["data"]["dropped"] = ["id", "name"]
    manifest.write_text(json.dumps(document))
    publish(folder, "older", features=TABLE)
    return folder


@pytest.fixture(scope="module")
def imputing(models: Path) -> Iterator[Application]:
    yield from running(models, "impute")


@pytest.fixture(scope="module")
def refusing(models: Path) -> Iterator[Application]:
    yield from running(models, "refuse")


def running(models: Path, unseen_values: str) -> Iterator[Application]:
    application = Application(models, model="small", unseen_values=unseen_values)
    yield application
    application.close()


def columns_of(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def arrow(rows: list[Row]) -> bytes:
    columns = columns_of(rows)
    return as_arrow(pa.table({name: pa.array(each, TYPES.get(name, pa.string())) for name, each in columns.items()}))


def v2_inputs(rows: list[Row]) -> list[dict[str, Any]]:
    kinds = {"age": "FP64", "member": "BOOL", "id": "INT64"}
    return [tensor(name, kinds.get(name, "BYTES"), (len(rows),), each) for name, each in columns_of(rows).items()]


# Each sends rows by name.
SENDERS: dict[str, Send] = {
    "JSON": lambda app, rows: app.post("/predict", {"inputs": rows}),
    "JSON split": lambda app, rows: app.post(
        "/predict", {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    ),
    "JSON by column": lambda app, rows: app.post("/predict", columns_of(rows)),
    "CSV": lambda app, rows: app.post("/predict", as_csv(rows, list(rows[0])), content_type="text/csv"),
    "Arrow": lambda app, rows: app.post("/predict", arrow(rows), content_type="application/vnd.apache.arrow.stream"),
    "V1": lambda app, rows: app.post("/v1/models/small:predict", {"instances": rows}),
    "V2": lambda app, rows: app.post("/v2/models/small/infer", {"inputs": v2_inputs(rows)}),
}


def numbers(answer: httpx.Response) -> list[float]:
    document = answer.json()
    found: list[float] = document["outputs"][0]["data"] if "outputs" in document else document["predictions"]
    return found


def expected(app: Application) -> list[float]:
    """The predictions for what stands for the values, asked of the network itself."""
    model = app.service.repository.find("small", None)
    return model.run(np.array(STANDS_FOR, np.float32)).prediction[:, 0].tolist()


def counted(app: Application) -> dict[str, float]:
    lines = app.ask("GET", "/metrics").text.splitlines()
    return {
        line.split('kind="')[1].split('"')[0]: float(line.split()[-1])
        for line in lines
        if line.startswith("mlp_imputed_values_total{") and 'model="small"' in line
    }


@pytest.mark.parametrize("name", SENDERS)
def test_defaults_stand_for_what_training_never_saw(imputing: Application, name: str) -> None:
    before = counted(imputing)
    answer = SENDERS[name](imputing, UNSEEN)
    assert answer.status_code == 200, answer.text
    assert numbers(answer) == pytest.approx(expected(imputing), rel=1e-6)
    assert answer.headers["x-model-warnings"] == WARNING
    after = counted(imputing)
    assert {kind: after[kind] - before.get(kind, 0) for kind in after} == {"missing": 3, "unknown": 2}


@pytest.mark.parametrize("name", SENDERS)
def test_a_request_without_such_values_has_no_warning(imputing: Application, name: str) -> None:
    answer = SENDERS[name](imputing, [GOOD, {**GOOD, "job": "pilot"}])  # a rare category, as training had some
    assert (answer.status_code, "x-model-warnings" in answer.headers) == (200, False)


@pytest.mark.parametrize("name", SENDERS)
def test_by_default_all_bad_features_of_the_first_bad_row_are_named(refusing: Application, name: str) -> None:
    answer = SENDERS[name](refusing, [GOOD, UNSEEN[1], GOOD, UNSEEN[1]])
    assert answer.status_code in {400, 422}
    document = answer.json()
    message = document.get("detail") or document["error"]
    first = "row 1, feature 'age' is"
    listed = [each for each in NAMES if repr(each) in message]
    assert (message.startswith(first) or "(also bad in this row: " in message, sorted(listed)) == (True, sorted(NAMES))
    if "errors" in document:
        assert {(each["row"], each["feature"]) for each in document["errors"]} == {(1, each) for each in NAMES}


@pytest.mark.parametrize("name", SENDERS)
def test_the_target_and_dropped_columns_are_ignored(refusing: Application, name: str) -> None:
    sent = [{"id": 3, "price": "12", **GOOD, "name": "x"}]
    answer, alone = SENDERS[name](refusing, sent), SENDERS[name](refusing, [GOOD])
    assert answer.status_code == 200, answer.text
    assert numbers(answer) == numbers(alone)
    other = SENDERS[name](refusing, [{**GOOD, "shoe_size": "43"}])
    assert other.status_code in {400, 422}
    assert "shoe_size" in other.text


def test_a_header_is_found_among_columns_that_are_ignored(refusing: Application) -> None:
    lines = b"id,name,price,age,member,city,job,plan\n3,x,12,30.5,true,Rome,cook,a\n"
    for text in (lines, lines.replace(b"price,age,member", b"surname,age,member")):
        answer = refusing.post("/invocations", text, content_type="text/csv")
        assert (answer.status_code, "'surname'" in answer.text) in {(200, False), (422, True)}, answer.text
    few = b"id,name,price,age\n3,x,12,30.5\n"
    assert "no features 'member', 'city', 'job'" in refusing.post("/invocations", few, content_type="text/csv").text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"member": "maybe", "city": "Room", "job": 3, "plan": None, "size": 3},
            "row 0 has no feature 'age'; send all 5, null for a missing value (there is a feature 'size' that the "
            "model does not know) (also bad in this row: 'member', 'city', 'job')",
        ),
        (
            {"plan": "a"},
            "row 0 has no features 'age', 'member', 'city', 'job'; send all 5, null for a missing value",
        ),
        (
            {**GOOD, "age": "x", "city": "Roma"},
            "row 0, feature 'age' is the string 'x', expected a number (also bad in this row: 'city')",
        ),
    ],
)
def test_a_message_names_what_is_absent_unknown_and_bad(refusing: Application, row: Row, message: str) -> None:
    answer = refusing.post("/predict", [row])
    assert (answer.status_code, answer.json()["detail"]) == (422, message)
    by_row = refusing.post("/predict?on_error=row", [GOOD, row]).json()
    assert [each["detail"] for each in by_row["errors"]] == [message.replace("row 0", "row 1")]


def test_remedies_are_given_for_each_of_the_first_bad_features(refusing: Application) -> None:
    errors = refusing.post("/predict", [{**GOOD, "age": None, "city": "Roma"}]).json()["errors"]
    assert [each["feature"] for each in errors] == ["age", "city"]
    assert "did you mean 'Rome'?" in errors[1]["detail"]


def test_rows_by_position_and_arrays_are_imputed_too(imputing: Application) -> None:
    values = np.array([[np.nan, 1, np.nan, 1, np.nan]], np.float32)
    raw = imputing.post("/predict", values.tobytes(), content_type="application/octet-stream")
    listed = imputing.post("/predict", [[None, True, None, "nurse", None]])
    for answer in (raw, listed):
        assert answer.headers["x-model-warnings"] == "imputed 2 missing values in 1 row: 'age' (1), 'city' (1)"
    assert numbers(raw) == numbers(listed)


def test_absent_features_are_missing_ones(imputing: Application) -> None:
    answer = imputing.post("/predict", [{"age": 30.5}])
    assert answer.headers["x-model-warnings"] == (
        "imputed 3 missing values in 1 row: 'member' (1), 'city' (1), 'job' (1)"
    )
    none = imputing.post("/predict", [{"id": 3}])
    assert (none.status_code, "none of the model's features" in none.text) == (422, True)


@pytest.mark.parametrize("rows", [3, 5000])
def test_many_rows_are_imputed_in_steps(imputing: Application, rows: int) -> None:
    answer = imputing.post("/predict", [*[GOOD] * (rows - 2), UNSEEN[1], UNSEEN[1]])
    assert numbers(answer)[-2:] == pytest.approx([expected(imputing)[1]] * 2, rel=1e-6)
    assert answer.headers["x-model-warnings"].startswith("imputed 6 missing and 4 unknown values in 2 rows: 'age' (2)")


def test_what_is_wrong_stays_wrong(imputing: Application) -> None:
    answer = imputing.post("/predict", [{**GOOD, "age": "x", "member": 3, "city": None}])
    assert answer.json()["detail"] == (
        "row 0, feature 'age' is the string 'x', expected a number (also bad in this row: 'member')"
    )
    infinite = np.array([[-np.inf, 1, -np.inf, 1, 0]], np.float32)
    answer = imputing.post("/predict", infinite.tobytes(), content_type="application/octet-stream")
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 2)


def test_a_model_without_defaults_refuses_and_says_why(imputing: Application) -> None:
    answer = imputing.post("/models/older/predict", [{"height": None, "job": "cook"}])
    assert answer.json()["detail"] == (
        "row 0, feature 'height' is null, and the model allows no missing value here, and was published without a "
        "default for one; send a number"
    )
    # Training saw missing countries, so an unknown one counts as missing.
    answer = imputing.post("/models/older/predict", [{"height": 1.8, "job": "cook", "country": "Peru"}])
    assert answer.headers["x-model-warnings"] == "imputed 1 unknown value in 1 row: 'country' (1)"


def test_the_metadata_and_the_openapi_document_say_it(imputing: Application, refusing: Application) -> None:
    for app, setting in ((imputing, "impute"), (refusing, "refuse")):
        model = app.ask("GET", "/models/small").json()
        assert (model["unseen_values"], model["features"][0]["default"]) == (setting, 40.0)
        document = json.dumps(app.ask("GET", "/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"])
        assert ('"enum": ["K' in document) == (setting == "refuse")
        assert '"price": {"description": "ignored"}' in document or setting == "impute"


def test_grpc_puts_the_warning_into_the_trailing_metadata(imputing: Application) -> None:
    inputs = [{"name": "age", "datatype": "FP32", "shape": [1], "contents": {"fp32_contents": [float("nan")]}}]
    inputs.append({"name": "city", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"Oslo"]}})
    inputs.append({"name": "id", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [7]}})
    body = ModelInferRequest(model_name="small", inputs=inputs).SerializeToString()
    request = InferRequest("small", None, None, {}, body, split=finish(infer_request.split(body)))

    async def ask() -> Response:
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        record = RequestRecord("POST", "/", "id", time.perf_counter())
        imputing.service.fast_path.predict(GrpcProtocol(), request, record, answered.set_result)
        return await answered

    response = imputing._runner.run(ask())
    assert response.status == 200
    assert dict(response.headers)[b"x-model-warnings"].startswith(b"imputed 3 missing and 1 unknown values in 1 row")
