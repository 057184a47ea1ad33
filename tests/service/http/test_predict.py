"""Predictions from bytes and headers to the response, compared with the network in numpy."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import gzip
import io
import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service import app, metrics
from service.app import Service
from service.errors import InvalidOption
from service.http.admission import LARGE_BYTES, Arrival
from service.http.codecs import json_answers, json_codec
from service.http.codecs.npy import write as npy_from
from service.http.limits import BodyBudget
from service.http.messages import Request, Response
from service.http.predict import Predict, timeout_s
from service.inference.batcher import Job
from service.inference.model import Model
from service.inference.repository import Repository
from service.inference.versions import ModelVersions
from service.lifecycle import State
from service.requests import RequestRecord
from service.settings import Settings
from tests.service.errors import error_message
from tests.service.published import TABLE, Network, as_json, publish, values_of

LABELS = ("ape", "bee", "cat")
BODY_BYTES = 1_000_000
NPY, RAW = b"application/x-npy", b"application/octet-stream"
TOO_LARGE = (
    "row {} is answered with no finite number: its values are too large for the model; send some within the ranges of "
    "its features, which GET /models/{{name}} lists"
)


class InProcess:
    """A service without a transport, on its own event loop."""

    def __init__(self, models: Path, **more: Any) -> None:
        self.runner = asyncio.Runner()
        options = Settings(models=models, model="small", max_body_bytes=BODY_BYTES, max_request_rows=5000, **more)
        self.service = self.runner.run(self._built(options))
        self.predict = self.service.fast_path.predict
        self.protocol = self.service.fast_path.table.routes[0].protocol

    async def _built(self, options: Settings) -> Service:
        return app.build(options, None, metrics.alone())

    def ask(self, *requests: Request) -> list[tuple[Response, RequestRecord]]:
        """The responses to requests that arrive in one turn of the event loop."""
        return self.runner.run(self._responses(requests))

    async def _responses(self, requests: tuple[Request, ...]) -> list[tuple[Response, RequestRecord]]:
        loop = asyncio.get_running_loop()
        answers, records = [], []
        for number, request in enumerate(requests):
            answer: asyncio.Future[Response] = loop.create_future()
            record = self.record(number)
            self.predict(self.protocol, request, record, answer.set_result)
            answers.append(answer)
            records.append(record)
        return list(zip(await asyncio.gather(*answers), records, strict=True))

    def record(self, number: int = 0) -> RequestRecord:
        return self.service.fast_path.tracker.begin("POST", "/predict", f"id-{number}")

    def models(self) -> dict[str, Model]:
        return {model.manifest.name: model for model in self.service.repository}

    def close(self) -> None:
        self.service.repository.close()
        self.runner.close()


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Network]]:
    folder = tmp_path_factory.mktemp("models")
    return folder, {
        "small": publish(folder, "small", shape=(2, 2)),
        "table": publish(folder, "table", features=TABLE, seed=1),
        "price": publish(folder, "price", features=TABLE, targets=("price",), seed=2),
        "position": publish(folder, "position", targets=("x", "y"), seed=3),
    }


@pytest.fixture(scope="module")
def server(networks: tuple[Path, dict[str, Network]]) -> Iterator[InProcess]:
    server = InProcess(networks[0])
    server.service.lifecycle.advance(State.READY)
    yield server
    server.close()


@pytest.fixture
def network(networks: tuple[Path, dict[str, Network]]) -> dict[str, Network]:
    return networks[1]


def request(
    body: object, model: str | None = None, query: str | None = None, headers: dict[bytes, bytes] | None = None
) -> Request:
    content = body if isinstance(body, bytes) else json.dumps({"inputs": body}).encode()
    return Request(model, None, query, headers or {}, content)


def answered(server: InProcess, *arguments: Any) -> dict[str, Any]:
    ((response, _),) = server.ask(request(*arguments))
    assert (response.status, response.headers) == (200, ((b"content-type", b"application/json"),))
    document: dict[str, Any] = json.loads(response.body)
    return document


def rejected(server: InProcess, *arguments: Any) -> tuple[int, str]:
    ((response, record),) = server.ask(request(*arguments))
    assert response.headers[0] == (b"content-type", b"application/problem+json")
    problem = json.loads(response.body)
    assert (problem["status"], problem["request_id"]) == (response.status, "id-0")
    assert problem["type"] == f"urn:mlp-serving:{record.problem}"
    return response.status, problem["detail"]


def random_rows(rows: int, features: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(rows).normal(0, 1, (rows, features)).astype(np.float32)


# Classes


def test_classes_are_answered_in_columns(server: InProcess, network: dict[str, Network]) -> None:
    rows = random_rows(7)
    expected = network["small"].answer(rows)
    answer = answered(server, rows.tolist())
    assert list(answer) == ["model", "version", "predictions", "classes", "probabilities"]
    assert (answer["model"], answer["version"]) == ("small", 1)
    assert answer["classes"] == expected.argmax(axis=1).tolist()
    assert answer["predictions"] == [LABELS[index] for index in answer["classes"]]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)


def test_top_k_gives_the_best_first_and_probabilities_can_be_left_out(
    server: InProcess, network: dict[str, Network]
) -> None:
    rows = random_rows(5)
    expected = network["small"].answer(rows)
    answer = answered(server, rows.tolist(), "small", "top_k=2&probabilities=false")
    assert list(answer) == ["model", "version", "predictions", "classes", "top_k"]
    order = np.argsort(-expected, axis=1)[:, :2]
    assert answer["top_k"]["predictions"] == [[LABELS[index] for index in row] for row in order.tolist()]
    np.testing.assert_allclose(answer["top_k"]["probabilities"], np.take_along_axis(expected, order, 1), atol=1e-6)


def test_accept_npy_returns_the_probabilities_as_an_array(server: InProcess, network: dict[str, Network]) -> None:
    rows = random_rows(5)
    ((response, _),) = server.ask(request(rows.tolist(), "small", None, {b"accept": NPY}))
    assert (response.status, response.headers) == (200, ((b"content-type", NPY),))
    probabilities = np.load(io.BytesIO(response.body))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, network["small"].answer(rows), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 255, 256, 257, 5000])
def test_a_row_has_the_same_answer_in_a_request_of_any_size(
    server: InProcess, network: dict[str, Network], rows: int
) -> None:
    values = random_rows(rows)
    headers = {b"content-type": RAW, b"accept": NPY}
    ((response, record),) = server.ask(request(values.tobytes(), "small", None, headers))
    np.testing.assert_allclose(np.load(io.BytesIO(response.body)), network["small"].answer(values), atol=1e-6)
    assert record.rows == rows


# Tables and regressions


@pytest.mark.parametrize("rows", [1, 6])
def test_rows_of_a_table_have_the_same_answer_in_every_encoding(
    server: InProcess, network: dict[str, Network], rows: int
) -> None:
    values = values_of(TABLE, rows, seed=rows)
    named = [as_json(TABLE, row) for row in values]
    answers = [
        answered(server, named, "table"),
        answered(server, [list(row.values()) for row in named], "table"),
        answered(server, values.tobytes(), "table", None, {b"content-type": RAW}),
        answered(server, npy_from(values), "table", None, {b"content-type": NPY}),
        answered(server, npy_from(values.astype(np.float64)), "table", None, {b"content-type": NPY}),
    ]
    assert all(answer == answers[0] for answer in answers)
    np.testing.assert_allclose(answers[0]["probabilities"], network["table"].answer(values), atol=1e-6)


def test_the_error_for_a_bad_row_names_row_and_column(server: InProcess) -> None:
    person = {"age": None, "height": 1.8, "member": True, "country": "Germny", "job": "pilot"}
    ((response, record),) = server.ask(request([person | {"country": None}, person], "table"))
    detail = (
        "row 1, feature 'country' is the string 'Germny', a category the model does not know; did you mean 'Germany'?"
    )
    assert response.status == 422
    assert json.loads(response.body) == {
        "type": "urn:mlp-serving:invalid-input",
        "title": "The rows do not fit the model",
        "status": 422,
        "detail": detail,
        "request_id": "id-0",
        "errors": [{"row": 1, "feature": "country", "detail": detail}],
    }
    assert (record.problem, record.rows) == ("invalid-input", 0)


@pytest.mark.parametrize(
    ("dtype", "column", "value", "detail"),
    [
        ("<f4", 3, 3, "row 2, feature 'country' is 3, expected the code of a category, an integer from 0 to 2"),
        ("<f4", 3, 0.5, "row 2, feature 'country' is 0.5, expected the code of a category, an integer from 0 to 2"),
        ("<f4", 1, math.nan, "row 2, feature 'height' is NaN, expected a finite number"),
        ("<f8", 0, 1e300, "row 2, feature 'age' is larger than float32 holds, expected at most 3.4e38"),
        ("<i4", 2, 2, "row 2, feature 'member' is 2, expected true or false (or 1 or 0)"),
    ],
)
def test_the_error_for_a_bad_code_names_row_and_column(
    server: InProcess, dtype: str, column: int, value: float, detail: str
) -> None:
    rows = np.ones((4, 5), dtype)
    rows[2, column] = value
    assert rejected(server, npy_from(rows), "price", None, {b"content-type": NPY}) == (422, detail)


def test_a_regression_of_one_target_answers_a_number_per_row(server: InProcess, network: dict[str, Network]) -> None:
    values = values_of(TABLE, 6, seed=9)
    answer = answered(server, [as_json(TABLE, row) for row in values], "price")
    assert list(answer) == ["model", "version", "predictions"]
    np.testing.assert_allclose(answer["predictions"], network["price"].answer(values)[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 6, 700])
def test_a_regression_of_several_targets_answers_a_list_per_row(
    server: InProcess, network: dict[str, Network], rows: int
) -> None:
    values = random_rows(rows)
    answer = answered(server, values.tolist(), "position")
    assert list(answer) == ["model", "version", "predictions"]
    np.testing.assert_allclose(answer["predictions"], network["position"].answer(values), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("model", "targets"), [("price", 1), ("position", 2)])
def test_a_regression_as_an_array_has_a_column_for_each_target(
    server: InProcess, network: dict[str, Network], model: str, targets: int
) -> None:
    values = np.abs(random_rows(3, 5 if model == "price" else 4)).round().clip(0, 1)
    headers = {b"content-type": RAW, b"accept": NPY}
    ((response, _),) = server.ask(request(values.tobytes(), model, None, headers))
    numbers = np.load(io.BytesIO(response.body))
    assert (numbers.shape, numbers.dtype) == ((3, targets), np.float32)
    np.testing.assert_allclose(numbers, network[model].answer(values), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("query", ["top_k=1", "probabilities=false", "timing=true&probabilities=true"])
def test_options_of_classes_are_rejected_for_a_regression(server: InProcess, query: str) -> None:
    name = "top_k" if "top_k" in query else "probabilities"
    assert rejected(server, [[1, 2, 3, 4]], "position", query) == (
        400,
        f"{name} means nothing here, as this model predicts numbers and no classes; leave it out",
    )
    ((response, _),) = server.ask(request([[1, 2, 3, 4]], "position", "timing=true"))
    assert response.status == 200


# Overflow


@pytest.mark.parametrize("model", ["small", "position"])
def test_values_that_overflow_fail_only_their_own_request(
    server: InProcess, network: dict[str, Network], model: str
) -> None:
    rows = random_rows(2)
    huge = [[1.0] * 4, [3e38, -3e38, 3e38, 3e38], [3e38] * 4]
    before, bad, after = server.ask(*(request(each, model) for each in (rows.tolist(), huge, rows.tolist())))
    assert bad[0].status == 422
    assert json.loads(bad[0].body)["detail"] == TOO_LARGE.format(1)
    assert json.loads(bad[0].body)["errors"] == [{"row": 1, "detail": TOO_LARGE.format(1)}]
    key = "predictions" if model == "position" else "probabilities"
    for response, _ in (before, after):
        assert response.status == 200
        np.testing.assert_allclose(json.loads(response.body)[key], network[model].answer(rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["small", "position"])
def test_a_row_that_overflows_is_found_in_any_slice_of_a_large_request(server: InProcess, model: str) -> None:
    for bad in (0, 256, 4321):
        rows = random_rows(5000)
        rows[bad] = 3e38
        headers = {b"content-type": RAW, b"accept": NPY}
        assert rejected(server, rows.tobytes(), model, None, headers) == (422, TOO_LARGE.format(bad))


# Reading the body


def test_no_content_type_and_that_of_curl_mean_json(server: InProcess) -> None:
    types = [None, b"application/json", b"Application/JSON; charset=utf-8", b"application/x-www-form-urlencoded"]
    for media in types:
        headers = {} if media is None else {b"content-type": media}
        assert answered(server, [[1, 2, 3, 4]], None, None, headers)["model"] == "small"


@pytest.mark.parametrize(
    ("headers", "body", "status", "detail"),
    [
        (
            {b"content-type": b"text/html"},
            b"1,2",
            415,
            "content-type is 'text/html', expected one of application/json, application/x-www-form-urlencoded, "
            "application/octet-stream, application/x-npy, text/csv, application/vnd.apache.arrow.stream, "
            "image/png, image/jpeg, image/jpg, image/webp, multipart/form-data",
        ),
        ({b"content-encoding": b"br"}, b"x", 415, "content-encoding is 'br', expected gzip, once, or none"),
        (
            {b"content-encoding": b"gzip"},
            b"no gzip",
            400,
            "the body is not gzip: incorrect header check; send it again",
        ),
        (
            {b"content-encoding": b"gzip"},
            gzip.compress(b"{}", mtime=0)[:-1],
            400,
            "the body is not one whole gzip stream; send it again",
        ),
        (
            {b"content-encoding": b"gzip"},
            gzip.compress(b"{}", mtime=0) + b"more",
            400,
            "the body is not one whole gzip stream; send it again",
        ),
        (
            {b"content-encoding": b"gzip"},
            gzip.compress(b" " * 100_000_000, mtime=0),
            413,
            "the body expands to more than 1000000 bytes; send fewer rows at once",
        ),
        (
            {b"content-type": NPY},
            b"\x93NUMPY",
            400,
            "the body is no whole .npy file: its header is cut off",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_rejected(
    server: InProcess, headers: dict[bytes, bytes], body: bytes, status: int, detail: str
) -> None:
    assert rejected(server, body, None, None, headers) == (status, detail)


def test_a_gzip_body_is_decompressed(server: InProcess) -> None:
    rows = random_rows(3)
    for media, body in ((b"application/json", json.dumps({"inputs": rows.tolist()}).encode()), (RAW, rows.tobytes())):
        headers = {b"content-type": media}
        plain = answered(server, body, None, None, headers)
        assert answered(server, gzip.compress(body), None, None, headers | {b"content-encoding": b"GZIP"}) == plain
        assert answered(server, body, None, None, headers | {b"content-encoding": b"identity"}) == plain


def test_a_body_may_expand_to_the_size_limit(server: InProcess) -> None:
    good = json.dumps({"inputs": [[1, 2, 3, 4]]}).encode()
    headers = {b"content-encoding": b"gzip"}
    assert answered(server, gzip.compress(good.ljust(BODY_BYTES)), None, None, headers)["model"] == "small"
    assert rejected(server, gzip.compress(good.ljust(BODY_BYTES + 1)), None, None, headers)[0] == 413


@given(
    body=st.binary(max_size=60),
    model=st.sampled_from(["small", "table", "price", "position", "none"]),
    query=st.none() | st.sampled_from(["top_k=1", "timing=1", "dtype=float32"]) | st.text(max_size=8),
    headers=st.dictionaries(
        st.sampled_from([b"content-type", b"content-encoding", b"accept", b"x-request-timeout-s"]),
        st.sampled_from([NPY, RAW, b"application/json", b"gzip", b"9"]) | st.binary(max_size=8),
    ),
)
@settings(max_examples=400)
def test_no_request_makes_the_server_fail(
    server: InProcess, body: bytes, model: str, query: str | None, headers: dict[bytes, bytes]
) -> None:
    # 504 if the client sends a deadline too short to keep.
    ((response, _),) = server.ask(Request(model, None, query, headers, body))
    assert response.status < 500 or response.status == 504


@given(st.data())
@settings(max_examples=300)
def test_a_damaged_request_is_answered_with_finite_numbers_or_rejected(server: InProcess, data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(["table", "price"]))
    row = as_json(TABLE, values_of(TABLE, 1, seed=0)[0])
    body = bytearray(json.dumps({"inputs": [row, list(row.values())]}).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"null", b"1e38", b"[", b"true", b'"'])
        )
    ((response, _),) = server.ask(request(bytes(body), model))
    if response.status == 200:
        answer = json.loads(response.body)
        numbers = answer["predictions"] if model == "price" else answer["probabilities"]
        assert np.isfinite(np.array(numbers, np.float64)).all()
    else:
        assert response.status in {400, 422}


# Records, timing, deadlines and readiness


def test_the_record_is_filled_in(server: InProcess) -> None:
    ((_, record),) = server.ask(request(random_rows(3).tolist(), "position"))
    assert (record.model, record.version, record.rows, record.problem) == ("position", 1, 3, "")
    stages = (record.decode_s, record.queue_s, record.inference_s, record.encode_s)
    assert all(0 < seconds < 10 for seconds in stages)


def test_timing_adds_a_server_timing_header(server: InProcess) -> None:
    ((response, record),) = server.ask(request([[1, 2, 3, 4]], None, "timing=true"))
    name, value = response.headers[-1]
    assert name == b"server-timing"
    assert re.fullmatch(rb"decode;dur=[\d.]+, queue;dur=[\d.]+, infer;dur=[\d.]+, encode;dur=[\d.]+", value)
    assert f"infer;dur={record.inference_s * 1e3:.3f}".encode() in value


def test_a_short_and_an_invalid_deadline_are_rejected(server: InProcess) -> None:
    status, detail = rejected(server, [[1, 2, 3, 4]], None, None, {b"x-request-timeout-s": b"1e-9"})
    assert status == 504
    assert detail.endswith("0 s are left; allow more time, or send fewer rows")
    assert rejected(server, [[1, 2, 3, 4]], None, None, {b"x-request-timeout-s": b"soon"}) == (
        400,
        "header x-request-timeout-s is 'soon', expected a number of seconds over 0",
    )


def test_unknown_models_and_versions(server: InProcess) -> None:
    assert rejected(server, [[1]], "large") == (
        404,
        "there is no model 'large'; there are: position, price, small, table",
    )
    ((response, _),) = server.ask(Request("small", "2", None, {}, b""))
    assert response.status == 404


def test_a_starting_server_answers_503_with_retry_after(networks: tuple[Path, dict[str, Network]]) -> None:
    server = InProcess(networks[0])
    ((response, record),) = server.ask(request([[1, 2, 3, 4]]))
    assert (response.status, dict(response.headers)[b"retry-after"]) == (503, b"1")
    assert json.loads(response.body)["detail"] == "the server is starting; try again"
    assert record.problem == "not-ready"
    server.close()


# Large bodies and answers, in slices


def in_slices(
    server: InProcess, *requests: Request, meanwhile: Callable[[list[Any]], None] = lambda _: None
) -> list[Response | None]:
    """The responses to requests that are sent together; ``meanwhile`` is called with the pending ones."""

    async def story() -> list[Response | None]:
        answers: list[Response | None] = [None] * len(requests)
        pending = []
        for index, each in enumerate(requests):
            record = server.record(index)

            def reply(answer: Response, index: int = index) -> None:
                assert answers[index] is None
                answers[index] = answer

            pending.append(server.predict(server.protocol, each, record, reply))
        meanwhile(pending)
        while not server.predict.idle() or any(
            each is not None and not getattr(each, "cancelled", False) and answers[index] is None
            for index, each in enumerate(pending)
        ):
            await asyncio.sleep(0)
        return answers

    found = server.runner.run(story())
    assert server.service.fast_path.budget.buffered_bytes == 0
    return found


def large(rows: NDArray[np.float32], **headers: bytes) -> Request:
    """Rows as JSON, padded with blanks to a large body."""
    body = json.dumps({"inputs": rows.tolist()}).encode().rjust(400_000)
    return request(body, "small", None, {name.replace("_", "-").encode(): value for name, value in headers.items()})


@pytest.mark.parametrize("gone", [False, True])
def test_the_rows_of_a_large_body_count_until_they_are_in_the_queue(server: InProcess, *, gone: bool) -> None:
    batcher = server.models()["small"].batcher
    arrival = Arrival(batcher, row_bytes=1, declared_bytes=500, deadline_s=math.inf)
    arrival.reached(500)
    arriving = []

    async def story() -> None:
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        record = server.record()
        pending = server.predict(server.protocol, large(random_rows(500)), record, answered.set_result, arrival)
        arriving.append(batcher.arriving_rows)
        assert pending is not None
        if gone:
            pending.cancel()
        else:
            assert (await answered).status == 200
        arriving.append(batcher.arriving_rows)

    server.runner.run(story())
    assert arriving == [500, 0]


def test_the_rows_of_a_rejected_body_no_longer_count(server: InProcess) -> None:
    batcher = server.models()["small"].batcher
    arrival = Arrival(batcher, row_bytes=1, declared_bytes=500, deadline_s=math.inf)
    arrival.reached(500)
    replies: list[Response] = []
    unknown = Request("nowhere", None, None, {}, b"")
    record = RequestRecord("POST", "/predict", "id", 0.0)
    assert server.predict(server.protocol, unknown, record, replies.append, arrival) is None
    assert (replies[0].status, batcher.arriving_rows) == (404, 0)


def test_a_large_body_that_would_wait_too_long_is_rejected_before_it_is_decoded(tmp_path: Path) -> None:
    publish(tmp_path, "small", shape=(28, 28))
    server = InProcess(tmp_path)
    server.service.lifecycle.advance(State.READY)
    sent = request((np.arange(32 * 784).reshape(32, 784) % 256).tolist())
    assert len(sent.body) > LARGE_BYTES
    replies: list[Response] = []

    async def story() -> list[RequestRecord]:
        batcher = server.models()["small"].batcher
        batcher.max_queue_s = 1e-9
        records = [server.record(number) for number in range(20)]
        for record in records:
            server.predict(server.protocol, sent, record, replies.append)
        await batcher.drain()
        return records

    records = server.runner.run(story())
    first_late, *late = (record for record in records if record.problem == "queue-too-long")
    assert first_late.decode_s > 0
    assert [record.decode_s for record in late] == [0.0] * len(late)
    assert len(late) > 5
    assert len(replies) == 20
    server.close()


@pytest.mark.parametrize("encoding", [b"identity", b"gzip"])
def test_a_large_body_has_the_same_answer_as_a_small_one(server: InProcess, encoding: bytes) -> None:
    rows = random_rows(5)
    sent = large(rows, content_encoding=encoding)
    if encoding == b"gzip":
        sent.body = gzip.compress(sent.body)
    small, big = in_slices(server, request(rows.tolist()), sent)
    assert small == big
    assert small is not None
    assert small.status == 200


def test_a_large_table_and_large_arrays_have_the_answers_of_the_network(
    server: InProcess, network: dict[str, Network]
) -> None:
    values = values_of(TABLE, 5000, seed=3)
    named = json.dumps({"inputs": [as_json(TABLE, row) for row in values]}).encode()
    sent = [
        request(named, "table", None, {b"accept": NPY}),
        request(npy_from(np.asfortranarray(values)), "table", None, {b"content-type": NPY, b"accept": NPY}),
        request(values.tobytes(), "table", None, {b"content-type": RAW, b"accept": NPY}),
    ]
    assert all(len(each.body) > 64_000 for each in sent)
    for answer in in_slices(server, *sent):
        assert answer is not None
        np.testing.assert_allclose(np.load(io.BytesIO(answer.body)), network["table"].answer(values), atol=1e-6)


def test_a_client_that_hangs_up_while_its_body_is_decoded_frees_its_memory(server: InProcess) -> None:
    rows = random_rows(2)

    def hang_up(pending: list[Any]) -> None:
        assert server.service.fast_path.budget.buffered_bytes == 3 * 400_000
        pending[1].cancel()
        assert server.service.fast_path.budget.buffered_bytes == 2 * 400_000

    first, gone, last = in_slices(server, *[large(rows)] * 3, meanwhile=hang_up)
    assert gone is None
    assert first == last is not None


def test_a_deadline_that_passes_before_the_body_is_decoded(server: InProcess) -> None:
    late, good = in_slices(
        server, large(random_rows(1), x_request_timeout_s=b"1e-6"), large(random_rows(1), x_request_timeout_s=b"20")
    )
    assert late is not None
    assert good is not None
    assert (late.status, good.status) == (504, 200)
    assert "the time for this request ran out after" in json.loads(late.body)["detail"]


def test_bodies_waiting_to_be_decoded_share_one_budget(networks: tuple[Path, dict[str, Network]]) -> None:
    server = InProcess(networks[0], max_buffered_bytes=900_000)
    server.service.lifecycle.advance(State.READY)
    first, second, third = in_slices(server, *[large(random_rows(1))] * 3)
    assert first == second is not None
    assert third is not None
    assert third.status == 429
    server.close()


def test_errors_in_a_large_body_are_reported_and_failures_logged(
    server: InProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (bad,) = in_slices(server, large(random_rows(2, features=3)))
    assert bad is not None
    assert json.loads(bad.body)["errors"][0]["row"] == 0

    def broken(*_arguments: object) -> Iterator[None]:
        yield
        raise RuntimeError("the inside")

    monkeypatch.setattr(json_codec, "rows_in_steps", broken)
    (failed,) = in_slices(server, large(random_rows(2)))
    assert failed is not None
    assert failed.status == 500
    assert b"inside" not in failed.body
    assert "the inside" in caplog.text


def test_a_body_still_being_decoded_at_shutdown_gets_503(
    networks: tuple[Path, dict[str, Network]],
) -> None:
    server = InProcess(networks[0])
    server.service.lifecycle.advance(State.READY)
    (answer,) = in_slices(server, large(random_rows(1)), meanwhile=lambda _: server.predict.close())
    assert answer is not None
    assert answer.status == 503
    server.close()


@pytest.mark.parametrize("gone", [False, True])
def test_an_answer_encoded_in_slices_is_the_same(
    server: InProcess, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    rows = random_rows(300)
    expected = answered(server, rows.tolist(), "small", "top_k=2")
    monkeypatch.setattr(json_answers, "_LARGE_VALUES", 1)
    monkeypatch.setattr(json_answers, "_STEP_VALUES", 100)
    (answer,) = in_slices(
        server,
        request(rows.tolist(), "small", "top_k=2"),
        meanwhile=lambda pending: pending[0].cancel() if gone else None,
    )
    assert (None if answer is None else json.loads(answer.body)) == (None if gone else expected)


# Headers


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({b"content-type": b"application/json; charset=utf-16"}, 415, "charset is 'utf-16', expected utf-8"),
        ({b"content-type": b' Application/JSON ; CHARSET="UTF-8"'}, 200, ""),
        ({b"content-encoding": b"gzip, gzip"}, 415, "content-encoding is 'gzip, gzip', expected gzip, once, or none"),
        ({b"content-encoding": b" identity , "}, 200, ""),
    ],
)
def test_headers_of_a_body(server: InProcess, headers: dict[bytes, bytes], status: int, detail: str) -> None:
    if status == 200:
        assert answered(server, [[1, 2, 3, 4]], None, None, headers)
    else:
        assert rejected(server, [[1, 2, 3, 4]], None, None, headers) == (status, detail)


def test_accept_selects_the_encoding_of_the_answer(server: InProcess) -> None:
    for accept, media in (
        (b"application/x-npy, */*;q=0.1", NPY),
        (b"application/json, application/x-npy", b"application/json"),
        (b"text/html", b"application/json"),
    ):
        ((response, _),) = server.ask(request([[1, 2, 3, 4]], None, None, {b"accept": accept}))
        assert response.headers == ((b"content-type", media),)


class BrokenBatcher:
    """Raises on submit, or answers later with something invalid."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once

    def submit(self, rows: NDArray[Any], deadline_s: float, done: Callable[[Any], None]) -> Job:
        if self.at_once:
            raise RuntimeError("the inside")
        asyncio.get_running_loop().call_soon(done, "the inside")
        return Job(len(rows), deadline_s, done, 0.0)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_internal_error_does_not_reveal_its_cause(
    server: InProcess, caplog: pytest.LogCaptureFixture, at_once: bool
) -> None:
    broken = dataclasses.replace(server.models()["small"], batcher=BrokenBatcher(at_once=at_once))
    lifecycle = server.service.lifecycle
    limits = {"max_s": 1.0, "clock": time.perf_counter, "bodies": BodyBudget(1000)}
    failing = copy.copy(server)
    failing.predict = Predict(Repository({"small": ModelVersions.of(broken)}, "small"), lifecycle, **limits)
    with caplog.at_level(logging.ERROR):
        assert rejected(failing, [[1, 2, 3, 4]]) == (
            500,
            "the server failed on this request; its log has the reason under this request id",
        )
    assert "request id-0 failed" in caplog.text
    assert "Traceback" in caplog.text


# Deadlines


@pytest.mark.parametrize(
    ("sent", "allowed_s"), [(b"0.5", 0.5), (b"1e-3", 0.001), (b"60", 30), (b"inf", 30), (b" 2 ", 2)]
)
def test_a_request_can_shorten_its_time_but_not_extend_it(sent: bytes, allowed_s: float) -> None:
    assert timeout_s(sent, 30) == allowed_s


@pytest.mark.parametrize("sent", [b"soon", b"", b"0", b"-1", b"nan", b"1,5", b"\xff", b"0x10", b"1_0"])
def test_an_invalid_time_is_rejected(sent: bytes) -> None:
    fault = f"header x-request-timeout-s is {sent.decode('latin-1')!r}, expected a number of seconds over 0"
    assert error_message(InvalidOption, timeout_s, sent, 30) == fault
