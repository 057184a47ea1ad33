"""Every error a client can get, on both paths of a real server: its status, its document, its headers."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import errors
from service.http import problems
from tests.service.published import publish
from tests.service.running import Connection, Running, post
from tests.service.trapped import BAD, GOOD, publish_trapped, slow

LIMIT_BYTES = 20_000
QUEUE_ROWS = 700
RAW, NPY = "application/octet-stream", "application/x-npy"
FAILED = "the model failed on this input; the server's log has the reason under this request id"


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast path", "FastAPI"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("models")
    publish_trapped(folder)
    publish(folder, "plain")
    bounds = [
        f"--max-body-bytes={LIMIT_BYTES}",
        f"--max-queue-rows={QUEUE_ROWS}",
        "--max-request-rows=600",
        "--max-queue-s=60",
    ]
    with Running(folder, "--model=small", f"--fast-path={request.param}", *bounds) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def rows(*values: Any) -> bytes:
    return json.dumps({"inputs": list(values)}).encode()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def check(answer: httpx.Response, status: int, name: str, detail: str) -> dict[str, Any]:
    """Check the members that every problem document (RFC 9457) has, and return the others."""
    document: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == document.pop("request_id")
    assert (answer.status_code, document.pop("status")) == (status, status), document
    assert document.pop("type") == f"urn:mlp-serving:{name}"
    assert document.pop("title")
    assert document.pop("detail") == detail
    return document


CASES: dict[str, tuple[bytes, dict[str, str], int, str, str]] = {
    "not JSON": (
        b"{",
        {},
        400,
        "malformed-body",
        "the body is not JSON: expecting property name enclosed in double quotes at character 1",
    ),
    "empty": (b"", {}, 400, "malformed-body", "the body is not JSON: expecting value at character 0"),
    "not UTF-8": (b'{"\xff"', {}, 400, "malformed-body", "the body is not UTF-8: byte 2 is 0xff"),
    "too deep": (
        b'{"inputs":' + b"[" * 19_000,
        {},
        400,
        "malformed-body",
        "the body is JSON nested too deeply; send a list of rows",
    ),
    "not .npy": (
        b"no array",
        {"content-type": NPY},
        400,
        "malformed-body",
        "the body is no .npy file: it begins with b'no arr', expected b'\\x93NUMPY'",
    ),
    "not gzip": (
        b"nothing",
        {"content-encoding": "gzip"},
        400,
        "malformed-body",
        "the body is not gzip: incorrect header check; send it again",
    ),
    "truncated gzip": (
        gzip.compress(rows(GOOD), mtime=0)[:-4],
        {"content-encoding": "gzip"},
        400,
        "malformed-body",
        "the body is not one whole gzip stream; send it again",
    ),
    "too large": (
        b" " * (LIMIT_BYTES + 1),
        {},
        413,
        "body-too-large",
        f"the body has more than {LIMIT_BYTES} bytes; send fewer rows at once",
    ),
    "too large after decompression": (
        gzip.compress(b" " * (LIMIT_BYTES + 1), mtime=0),
        {"content-encoding": "gzip"},
        413,
        "body-too-large",
        f"the body expands to more than {LIMIT_BYTES} bytes; send fewer rows at once",
    ),
    "unknown encoding": (
        rows(GOOD),
        {"content-encoding": "br"},
        415,
        "unsupported-media",
        "content-encoding is 'br', expected gzip, once, or none",
    ),
    "ragged": (rows(GOOD, GOOD[:3]), {}, 422, "invalid-input", "row 1 has 3 values, expected 4 values"),
    "no inputs": (
        b"{}",
        {},
        422,
        "invalid-input",
        "the body has no key 'inputs' (or 'instances', 'dataframe_records', 'dataframe_split'), and no feature of the "
        'model; send an object {"inputs": [row, …]} or a list of rows',
    ),
    "zero rows": (rows(), {}, 422, "invalid-input", "there are zero rows; send one or more"),
    "too many rows": (
        rows(*[[1, 2, 3, 4]] * 601),
        {},
        422,
        "invalid-input",
        "there are more than 600 rows, the most that are accepted; send several requests",
    ),
    "NaN": (
        b'{"inputs": [[1, 2, 3, 4], [1, NaN, 3, 4]]}',
        {},
        422,
        "invalid-input",
        "row 1, feature 'f1' is NaN, expected a finite number",
    ),
    "infinite": (
        b'{"inputs": [[1, 2, -Infinity, 4]]}',
        {},
        422,
        "invalid-input",
        "row 0, feature 'f2' is infinite, expected a finite number",
    ),
    "a string": (
        rows([1, 2, 3, "4"]),
        {},
        422,
        "invalid-input",
        "row 0, feature 'f3' is the string '4', expected a number",
    ),
    "raw of a wrong length": (
        b"123",
        {"content-type": RAW},
        422,
        "invalid-input",
        "the body has 3 bytes, expected one or more rows of 4 values: 16 of float32",
    ),
    "an array of a wrong shape": (
        npy(np.zeros((2, 3))),
        {"content-type": NPY},
        422,
        "invalid-input",
        "the array has shape (2, 3), expected (rows, 4)",
    ),
    "an array of strings": (
        npy(np.array([["a"]])),
        {"content-type": NPY},
        422,
        "invalid-input",
        "the array is of dtype '<U1', expected float or integer numbers of up to 64 bits, such as '<f4'",
    ),
    "the model fails": (rows(BAD), {}, 500, "model-failed", FAILED),
    "an invalid timeout": (
        rows(GOOD),
        {"x-request-timeout-s": "soon"},
        400,
        "invalid-option",
        "header x-request-timeout-s is 'soon', expected a number of seconds over 0",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_error_for_a_body(client: httpx.Client, name: str) -> None:
    body, headers, status, kind, detail = CASES[name]
    more = check(client.post("/predict", content=body, headers=headers), status, kind, detail)
    if status == 422:
        (fault,) = more.pop("errors")
        assert fault.pop("detail") == detail
        found = re.match(r"row (\d+)(?:, feature '(\w+)')?", detail)
        if found is not None:
            assert fault.pop("row") == int(found[1])
            assert fault.pop("feature", None) == found[2]
        assert fault == {}
    assert more == {}


@pytest.mark.parametrize(
    ("method", "path", "status", "name", "detail"),
    [
        ("POST", "/models/large/predict", 404, "not-found", "there is no model 'large'; there are: plain, small"),
        (
            "POST",
            "/models/small/versions/2/predict",
            404,
            "not-found",
            "model 'small' has no version '2' here; loaded are: 1",
        ),
        ("GET", "/models/large", 404, "not-found", "there is no model 'large'; there are: plain, small"),
        ("GET", "/nowhere", 404, "not-found", "GET /nowhere: not found; GET /docs lists every path and its methods"),
        (
            "POST",
            "/predict/",
            404,
            "not-found",
            "POST /predict/: not found; GET /docs lists every path and its methods",
        ),
        (
            "GET",
            "/predict",
            405,
            "method-not-allowed",
            "GET /predict: method not allowed; GET /docs lists every path and its methods",
        ),
        (
            "DELETE",
            "/models",
            405,
            "method-not-allowed",
            "DELETE /models: method not allowed; GET /docs lists every path and its methods",
        ),
        (
            "POST",
            "/predict?topk=1",
            400,
            "invalid-option",
            "unknown query parameter 'topk'; did you mean 'top_k'?",
        ),
        (
            "POST",
            "/predict?top_k=4",
            400,
            "invalid-option",
            "top_k is '4', expected an integer from 1 to 3, the number of classes",
        ),
        (
            "POST",
            "/predict?probabilities=no",
            400,
            "invalid-option",
            "probabilities is 'no', expected true or false",
        ),
    ],
)
def test_the_error_for_a_path_or_an_option(
    client: httpx.Client, method: str, path: str, status: int, name: str, detail: str
) -> None:
    answer = client.request(method, path, content=rows(GOOD) if method == "POST" else None)
    assert check(answer, status, name, detail) == {}
    if status == 405:
        assert answer.headers["allow"] == {"/predict": "POST", "/models": "GET, HEAD"}[path]


def test_the_error_for_an_unknown_type_lists_the_known_ones(client: httpx.Client) -> None:
    answer = client.post("/predict", content=rows(GOOD), headers={"content-type": "text/html"})
    detail = answer.json()["detail"]
    assert detail.startswith("content-type is 'text/html', expected one of application/json, ")
    assert check(answer, 415, "unsupported-media", detail) == {}


def test_the_request_id_is_returned(client: httpx.Client) -> None:
    for body in (rows(GOOD), b"{"):
        answer = client.post("/predict", content=body, headers={"x-request-id": "mine"})
        assert answer.headers["x-request-id"] == "mine"
    assert answer.json()["request_id"] == "mine"


def test_a_failing_model_fails_only_that_request_and_logs_why(server: Running, client: httpx.Client) -> None:
    before = server.metrics()["mlp_requests_total small /predict 500"]
    assert client.post("/predict", content=rows(BAD)).status_code == 500
    assert "Traceback" in server.wait_for("the network failed on a batch of 1 rows")
    assert client.post("/predict", content=rows(GOOD)).status_code == 200
    assert client.post("/predict", content=rows(*[GOOD] * 400, BAD)).status_code == 500
    assert server.metrics()["mlp_requests_total small /predict 500"] == before + 2


def keep_busy(connection: Connection, iterations: float, count: int) -> None:
    """Send slow rows. An earlier request on the connection makes sure that the server reads them next."""
    connection.send(post(rows(GOOD)))
    assert connection.answer().status == 200
    connection.send(post(rows(slow(iterations), *[[0, 0, 0, 0]] * (count - 1))))


def test_a_full_queue_rejects_what_does_not_fit_with_retry_after(server: Running, client: httpx.Client) -> None:
    with server.connect() as connection:
        keep_busy(connection, 2e6, 500)
        answer = client.post("/predict", content=rows(*[[0, 0, 0, 0]] * 300))
        assert (
            check(
                answer,
                429,
                "overloaded",
                "500 rows wait already, and 300 more would exceed 700; send fewer requests at once, or add replicas",
            )
            == {}
        )
        assert int(answer.headers["retry-after"]) >= 1
        assert client.post("/predict", content=rows(GOOD)).status_code == 200  # there is room for that
        assert connection.answer().status == 200
    assert client.post("/predict", content=rows(*[[0, 0, 0, 0]] * 600)).status_code == 200


def test_a_deadline_that_cannot_be_met_is_rejected_at_once(client: httpx.Client) -> None:
    answer = client.post("/predict", content=rows(GOOD), headers={"x-request-timeout-s": "1e-9"})
    detail = answer.json()["detail"]
    assert re.fullmatch(
        r"these rows would take [\d.e-]+ s with those before them, and 0 s are left; "
        "allow more time, or send fewer rows",
        detail,
    )
    assert check(answer, 504, "deadline-exceeded", detail) == {}


def test_rows_whose_deadline_passes_in_the_queue_do_not_run(server: Running, client: httpx.Client) -> None:
    before = server.metrics()["mlp_batch_rows_sum small"]
    with server.connect() as connection:
        keep_busy(connection, 1e6, 300)
        answer = client.post("/predict", content=rows(*[[0, 0, 0, 0]] * 300), headers={"x-request-timeout-s": "0.1"})
        detail = answer.json()["detail"]
        assert re.fullmatch(r"the time for this request ran out after [\d.]+ s; allow more, or retry", detail)
        assert check(answer, 504, "deadline-exceeded", detail) == {}
        assert connection.answer().status == 200
    assert server.metrics()["mlp_batch_rows_sum small"] == before + 301


bodies = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
        max_leaves=30,
    ).map(lambda value: json.dumps({"inputs": value}).encode()),
    st.lists(st.lists(st.floats(allow_nan=True), min_size=3, max_size=5), max_size=4).map(lambda value: rows(*value)),
    st.lists(st.floats(width=32), max_size=9).map(lambda value: np.array(value, "<f4").tobytes()),
    st.builds(
        lambda shape, dtype: npy(np.zeros(shape, dtype)),
        st.lists(st.integers(0, 5), max_size=3),
        st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8", "S3", ">f4"]),
    ),
)


@given(
    body=bodies,
    kind=st.sampled_from(["application/json", RAW, NPY, "", "text/plain", "application/json; charset=utf-8", "\xff"]),
    query=st.sampled_from(["", "?top_k=1", "?dtype=float32", "?dtype=f", "?timing=true", "?probabilities=0", "?x=%00"]),
    encoding=st.sampled_from([None, None, None, "gzip", "identity", "deflate"]),
)
@settings(max_examples=300)
def test_no_request_is_a_server_error(
    client: httpx.Client, body: bytes, kind: str, query: str, encoding: str | None
) -> None:
    headers = {b"content-type": kind.encode("latin-1")}
    if encoding is not None:
        headers[b"content-encoding"] = encoding.encode()
        body = gzip.compress(body) if encoding == "gzip" else body
    answer = client.post(f"/models/plain/predict{query}", content=body, headers=headers)
    assert answer.status_code in {200, 400, 413, 415, 422}, answer.text
    document = answer.json()
    if answer.status_code == 200:
        assert len(document["predictions"]) >= 1
        assert np.isfinite(np.array(document.get("probabilities", [0.0]))).all()
    else:
        assert check(answer, document["status"], document["type"].rsplit(":", 1)[1], document["detail"]).keys() <= {
            "errors"
        }


def test_the_openapi_documents_examples_work_when_sent(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    sent = 0
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            content = described.get("requestBody", {}).get("content", {})
            if path.startswith(("/v1", "/v2")):  # tested with their protocols
                continue
            for kind, media in content.items():
                for example in media.get("examples", {}).values():
                    url = path.replace("{name}", "small").replace("{version}", "1")
                    value = example["value"] if kind == "text/csv" else json.dumps(example["value"])
                    answer = client.request(method, url, content=value, headers={"content-type": kind})
                    assert answer.status_code == 200
                    assert set(answer.json()) <= set(document["components"]["schemas"]["Answer"]["properties"])
                    sent += 1
    assert sent == 16


def test_every_documented_get_path_works(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    read = [path for path, methods in paths.items() if "get" in methods]
    assert {"/models", "/models/{name}", "/metrics", "/health/live", "/health/ready", "/health/startup"} <= set(read)
    for path in [*read, "/docs"]:
        answer = client.get(path.replace("{name}", "small").replace("{version}", "1"))
        assert answer.status_code == 200, path
        assert answer.headers["x-request-id"]
    models = client.get("/models").json()["models"]
    assert [(model["name"], model["version"]) for model in models] == [("plain", 1), ("small", 1)]
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json() == client.get("/health/startup").json() == {"status": "ready"}
    described = client.get("/models/small").json()
    assert (described["provider"], described["precision"]) == ("cpu", "fp32")
    assert described["labels"] == ["ape", "bee", "cat"]
    assert described["costs"]["inline_rows"] >= 1


def test_every_request_error_has_a_distinct_name() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.RequestError)
        and kind not in {errors.RequestError, errors.Retryable}
    ]
    assert set(problems.PROBLEMS) == set(kinds)
    names = [name for _, name, _ in problems.PROBLEMS.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_retryable_errors_have_retry_after() -> None:
    for seconds, retry_after in ((0.001, b"1"), (1.0, b"1"), (1.2, b"2"), (40.0, b"40")):
        response = problems.response(errors.Overloaded("full", seconds), "id")
        assert dict(response.headers)[b"retry-after"] == retry_after
