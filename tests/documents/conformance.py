"""Which client is tested with which feature, and by which test: the table of docs/clients.md."""

from __future__ import annotations

from typing import Final, NamedTuple


class Tested(NamedTuple):
    """``features`` of a ``client`` that ``test`` uses: a file below tests/, and a function in it."""

    client: str
    features: str
    test: str


_HTTP: Final = "service/http"
_CURL: Final = "documents/test_curl.py"
_OPEN: Final = f"{_HTTP}/protocols/test_open_inference_clients.py"
_GRPC: Final = "service/grpc/test_clients.py"
_MLFLOW: Final = "test_mlflow_client.py::test_mlflow"
_ARROW: Final = f"{_HTTP}/codecs/test_same_rows.py::test_a_table_gives_the_same_numbers_in_every_encoding"

TESTED: Final = (
    Tested("curl", "each command of these pages: JSON, tables, CSV", f"{_CURL}::test_each_form_of_rows_is_answered"),
    Tested("curl", "image files, forms, base64", f"{_CURL}::test_each_line_with_an_image_is_answered_alike"),
    Tested("curl", "V2 and V1", f"{_CURL}::test_the_open_inference_protocol_prints_what_is_documented"),
    Tested(
        "tritonclient 2.73, HTTP",
        "JSON and binary tensors, gzip, deflate, outputs, ids, classification, metadata, config, stats, index, asyncio",
        f"{_OPEN}::test_tritonclient",
    ),
    Tested("KServe 0.21, REST", "V1 and V2: JSON and binary tensors, health, readiness", f"{_OPEN}::test_kserve"),
    Tested(
        "tritonclient 2.73, gRPC",
        "raw and typed contents, metadata, config, stats, index, health",
        f"{_GRPC}::test_tritonclient",
    ),
    Tested("KServe 0.21, gRPC", "inference, metadata, health", f"{_GRPC}::test_kserve"),
    Tested("MLflow 3.17, scoring client", "data frames, records, CSV", f"{_HTTP}/protocols/{_MLFLOW}"),
    Tested("JavaScript, `fetch`", "JSON, from Node.js", "test_examples.py::test_javascript_calls_the_service"),
    Tested(
        "Chromium, `fetch`",
        "JSON, image files and forms, from the server's pages",
        "browser/test_fetch.py::test_a_page_of_the_server_gets_predictions",
    ),
    Tested(
        "Chromium, `fetch`",
        "refused from another origin",
        "browser/test_fetch.py::test_a_page_of_another_origin_is_refused",
    ),
    Tested(
        "pandas",
        "`to_json` of records, split, columns; `to_csv`; NaN",
        f"{_HTTP}/test_encodings_agree.py::test_rows_of_a_table",
    ),
    Tested("NumPy", "raw bytes, `.npy` of any dtype and order", f"{_HTTP}/test_encodings_agree.py::test_images"),
    Tested("Arrow", "streams, dictionaries, compression", _ARROW),
    Tested(
        "schemathesis 4.32",
        "the OpenAPI document, all checks",
        f"{_HTTP}/test_schemathesis.py::test_the_document_is_true",
    ),
)


def rows() -> list[str]:
    """The rows of the table."""
    return [
        f"| {each.client} | {each.features} | [{file.rpartition('/')[2]}](../tests/{file}) |"
        for each in TESTED
        for file in (each.test.partition("::")[0],)
    ]
