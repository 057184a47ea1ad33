"""Paths that lead elsewhere, and names that do not exist: not found, unseen in the metrics, and nothing is told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import artifact
from tests.service.http.protocols.application import Application
from tests.service.published import publish
from tests.service.running import post

UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..%00/", "%2f", "//", ".%2e/", "..;/")
BELOW = (
    "/models/{}small",
    "/models/small/versions/{}1",
    "/v2/models/{}small",
    "/v1/models/{}small",
    "/{}metadata.json",
)
SUFFIXES = ("", "/predict", "/infer", ":predict", "/1/metadata.json", "/card.html", "/1/model.onnx")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Two versions, of which the newer one is damaged, and a link that leads out of the folder."""
    models = tmp_path_factory.mktemp("private") / "models"
    publish(models)
    publish(models, version=2)
    (models / "small" / "2" / artifact.MODEL).write_bytes(b"damaged")
    (models / "small" / "elsewhere").symlink_to("nowhere")
    application = Application(models)
    yield application
    application.close()


@pytest.mark.parametrize("up", UP)
def test_no_path_leads_out_of_its_model(served: Application, up: str) -> None:
    for path in (below.format(up * count) + suffix for below in BELOW for count in (1, 8) for suffix in SUFFIXES):
        get = f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode()
        for request in (get, post(b'{"inputs": [[1, 2, 3, 4]]}', path)):
            for answer in served.raw_on_both_paths(request):
                assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")), (path, answer)


def test_unknown_names_add_no_series_to_the_metrics(served: Application) -> None:
    numbers = random.Random(0)  # noqa: S311

    def ask_for_unknown_names() -> set[str]:
        """The series after requests for every kind of path; each name is new."""
        for _ in range(20):
            name = f"m{numbers.getrandbits(64):x}"
            for path in ("/{}", "/models/{}", "/models/{}/predict", "/v2/models/{}/infer", "/v1/models/{}:predict"):
                headers = {"content-type": f"application/{name}", "x-request-id": name, "accept": f"{name}/x"}
                assert served.ask("POST", path.format(name), b"{}", headers).status_code in {404, 405}
            version = numbers.randrange(10, 10**9)
            assert served.ask("POST", f"/models/small/versions/{version}/predict", b"{}").status_code == 404
        lines = served.ask("GET", "/metrics").text.splitlines()
        return {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")}

    ask_for_unknown_names()
    assert ask_for_unknown_names() == ask_for_unknown_names()


def test_no_answer_has_a_path_of_this_machine(served: Application, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Not even the reasons why versions are refused."""
    refused = served.ask("GET", "/models").json()["models"][0]["versions"]
    assert {each["version"]: str(each["reason"])[:24] for each in refused if each["state"] == "refused"} == {
        2: "small/2/model.onnx (7 by",
        "elsewhere": "small/elsewhere is a lin",
    }
    secret = str(tmp_path_factory.getbasetemp())
    paths = ("/", "/models", "/models/small", "/nothing", "/v1/models", "/v2/models/small", "/metrics", "/openapi.json")
    texts = [served.ask("GET", path).text for path in paths]
    texts += [
        served.ask("POST", path, body).text for path in ("/predict", "/v2/models/small/infer") for body in (b"{", b"")
    ]
    for text in texts:
        assert secret not in text
        assert "Traceback" not in text
        assert str(Path(artifact.__file__).parent) not in text
