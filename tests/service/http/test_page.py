"""The page of GET / and its files: what a browser gets, what other clients get, and what nobody gets."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service import artifact
from service.http import page
from service.http.page_model import CARD
from service.manifest import Feature
from service.reference import Distribution, Reference
from tests.service.http.protocols.application import Application
from tests.service.http.test_docs import References
from tests.service.published import TABLE, publish, rewrite

ROOT = Path(__file__).parents[3]
FOLDER = Path(page.__file__).with_name("static") / "page"
FILES = sorted(path.name for path in FOLDER.iterdir())
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
VERSION = "/page/models/{}/versions/{}"
MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder, "table", features=TABLE)
    publish(folder, "table", 2, features=TABLE, seed=1)
    publish(folder, "numbers", targets=("price",))
    shutil.copytree(ROOT / "models" / "fashion-mnist", folder / "fashion-mnist")
    return folder


@pytest.fixture(scope="module")
def application(models: Path) -> Iterator[Application]:
    running = Application(models)
    yield running
    running.close()


@pytest.mark.parametrize("accept", [BROWSER["accept"], "text/html", "application/json;q=0.5,text/html"])
def test_a_browser_gets_the_page(application: Application, accept: str) -> None:
    answer = application.ask("GET", "/", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["vary"] == "accept"
    assert answer.content == (FOLDER / "index.html").read_bytes()
    head = application.ask("HEAD", "/", headers={"accept": accept})
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])
    assert head.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html", "image/png"])
def test_other_clients_get_what_they_did(application: Application, accept: str | None) -> None:
    answer = application.ask("GET", "/", headers={} if accept is None else {"accept": accept})
    assert answer.json() == {"status": "alive"}
    assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "accept")


@pytest.mark.parametrize("path", ["/", "/status", *(f"/page/{name}" for name in FILES)])
def test_everything_has_the_policy(application: Application, path: str) -> None:
    answer = application.ask("GET", path, headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


def test_a_browser_asks_again_and_gets_only_what_changed(application: Application) -> None:
    for path in ("/", "/page/main.js", f"{VERSION.format('fashion-mnist', 1)}/confusion.png"):
        first = application.ask("GET", path, headers=BROWSER)
        for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}'):
            again = application.ask("GET", path, headers={**BROWSER, "if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
        assert application.ask("GET", path, headers={**BROWSER, "if-none-match": '"other"'}).status_code == 200


def test_the_page_refers_to_its_own_files_alone(application: Application) -> None:
    for name in ("index.html", "status.html"):
        found = References((FOLDER / name).read_text())
        assert not any(found.scripts)
        for address in found.addresses:
            assert re.fullmatch(r"\./|status|docs|metrics|#main|page/[\w.]+", address)
            if address.startswith("page/"):
                assert application.ask("GET", f"/{address}").status_code == 200
    for path in FOLDER.glob("*.js"):
        imported = re.findall(r'^(?:import|export) .* from "(.+?)";$', path.read_text(), re.MULTILINE)
        assert {each.removeprefix("./") for each in imported} <= set(FILES)


def test_scripts_read_nothing_as_html_and_know_no_other_server() -> None:
    for path in FOLDER.iterdir():
        text = re.sub(r"^\s*(?://|/?\*).*", "", path.read_text(), flags=re.MULTILINE)  # comments name their sources
        text = text.replace("http://www.w3.org/2000/svg", "")
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            " style=",
            "http:",
            "https:",
        ):
            assert forbidden not in text, (path.name, forbidden)


def test_each_module_says_what_it_is_for() -> None:
    for path in FOLDER.glob("*.js"):
        first = path.read_text().splitlines()[0]
        assert re.fullmatch(r"// [A-Z].{20,116}\.", first), (path.name, first)
        assert len(path.read_text().splitlines()) <= 300


def loaded_with(name: str) -> set[str]:
    """A file and all that it refers to."""
    found, new = set(), {name}
    while new:
        found |= new
        texts = [(FOLDER / each).read_text() for each in new if not each.endswith(".svg")]
        new = {each for text in texts for each in re.findall(r'"(?:page|\.)/([\w.]+)"', text)} - found
    return found


@pytest.mark.parametrize(
    ("name", "data"),
    [("index.html", [VERSION.format("fashion-mnist", 1)]), ("status.html", ["/metrics", "/models"])],
)
def test_each_page_is_small(application: Application, name: str, data: list[str]) -> None:
    files = loaded_with(name)
    assert {"page.css", "dom.js"} < files
    size = sum((FOLDER / each).stat().st_size for each in files)
    assert size + sum(len(application.ask("GET", path).content) for path in data) <= MOST_BYTES


def test_each_file_belongs_to_a_page() -> None:
    assert loaded_with("index.html") | loaded_with("status.html") == set(FILES)


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/page/",
        "/page/none.js",
        "/page/page.py",
        "/page/..%2fdocs.html",
        "/page/%2e%2e/docs.html",
        "/page/%2e%2e%2f%2e%2e%2fpage.py",
        "/page/models/fashion-mnist/versions/1/model.onnx",
        "/page/models/fashion-mnist/versions/1/metadata.json",
        "/page/models/fashion-mnist/versions/1/..%2f1%2fREADME.md",
        "/page/models/fashion-mnist/versions/1/%2e%2e",
        "/page/models/fashion-mnist/versions/2",
        "/page/models/fashion-mnist/versions/01",
        "/page/models/none/versions/1",
        "/page/models/..%2f..%2fetc/versions/1",
        "/page/models/table/versions/1/README.md",
    ],
)
def test_nothing_else_is_served(application: Application, path: str) -> None:
    answer = application.ask("GET", path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:mlp-serving:not-found")


def test_the_page_can_be_switched_off(models: Path) -> None:
    application = Application(models, page=False)
    assert application.ask("GET", "/", headers=BROWSER).json() == {"status": "alive"}
    for path in ("/status", "/page/main.js", VERSION.format("fashion-mnist", 1)):
        answer = application.ask("GET", path, headers=BROWSER)
        assert answer.json()["detail"] == f"GET {path}: not found; GET /docs lists every path and its methods"
    application.close()


def test_the_openapi_document_leaves_the_page_out(application: Application) -> None:
    assert not [path for path in application.ask("GET", "/openapi.json").json()["paths"] if "page" in path]


def test_a_table_has_its_features_typical_values_and_rows_that_it_answers(application: Application) -> None:
    found = application.ask("GET", VERSION.format("table", 1)).json()
    assert [each["name"] for each in found["model"]["features"]] == [each.name for each in TABLE]
    assert found["model"]["version"] == 1
    assert [(each["version"], each["state"]) for each in found["versions"]] == [(2, "serving"), (1, "available")]
    assert found["brightest"] is None
    assert found["typical"] == {"age": 40.0, "height": 1.7, "member": True, "country": "France", "job": "cook"}
    assert found["card"] == []
    rows = found["examples"]
    assert len(rows) > 1
    assert all(list(row) == [each.name for each in TABLE] for row in rows)
    assert any(None in row.values() for row in rows)
    assert application.post("/models/table/versions/1/predict", rows).status_code == 200
    assert application.post("/models/table/versions/1/predict", [found["typical"]]).status_code == 200


def test_held_out_rows_get_the_answers_that_were_published(application: Application, models: Path) -> None:
    with np.load(models / "numbers" / "1" / artifact.GOLDEN) as golden:
        expected = dict(zip(golden["inputs"][:, 0].tolist(), golden["prediction"][:, 0].tolist(), strict=True))
    rows = application.ask("GET", VERSION.format("numbers", 1)).json()["examples"]
    answer = application.post("/models/numbers/predict", rows).json()["predictions"]
    first = [float(np.float32(row["f0"])) for row in rows]
    np.testing.assert_allclose(answer, [expected[each] for each in first], rtol=1e-5)


def test_an_image_has_examples_and_no_features(application: Application) -> None:
    found = application.ask("GET", VERSION.format("fashion-mnist", 1)).json()
    assert "features" not in found["model"]
    assert found["brightest"] == 255
    assert {len(row) for row in found["examples"]} == {784}
    example = json.loads((ROOT / "models" / "fashion-mnist" / "1" / "example.json").read_text())["inputs"]
    assert found["examples"][0] == np.ravel(example).tolist()
    answer = application.post("/models/fashion-mnist/predict", {"inputs": found["examples"]})
    assert answer.json()["predictions"][0] == "Ankle boot"
    assert found["card"] == [
        *("README.md", "card.html", "confusion.png", "reliability.png", "mistakes.png", "learning.png")
    ]


def test_the_card_may_do_nothing(application: Application) -> None:
    for name in ("README.md", "card.html", "confusion.png"):
        answer = application.ask("GET", f"{VERSION.format('fashion-mnist', 1)}/{name}")
        assert answer.content == (ROOT / "models" / "fashion-mnist" / "1" / name).read_bytes()
        assert answer.headers["content-type"] == CARD[name]
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "script" not in answer.headers["content-security-policy"]


def test_a_file_that_was_exchanged_is_not_served(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "models" / "fashion-mnist", tmp_path / "fashion-mnist")
    application = Application(tmp_path)
    folder = tmp_path / "fashion-mnist" / "1"
    (folder / "confusion.png").write_bytes(b"<script>alert(1)</script>")
    (folder / "reliability.png").unlink()
    (folder / "learning.png").unlink()
    (folder / "learning.png").symlink_to("/etc/hostname")
    for name in ("confusion.png", "reliability.png", "learning.png"):
        answer = application.ask("GET", f"{VERSION.format('fashion-mnist', 1)}/{name}")
        assert answer.status_code == 404
        assert answer.json()["detail"] == (
            f"{name} of 'fashion-mnist', version 1 cannot be read any more; publish the version again"
        )
    (folder / artifact.GOLDEN).unlink()
    assert len(application.ask("GET", VERSION.format("fashion-mnist", 1)).json()["examples"]) == 1
    application.close()


def test_typical_values_are_medians_and_most_frequent_ones(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.lognormal(3, 1, 5001)
    edges = np.quantile(values, np.arange(1, 10) / 10)
    counts = np.bincount(np.searchsorted(edges, values, "right"), minlength=10)
    features = (
        Feature("income", "numeric", False, (), False, values.mean(), values.std(), values.min(), values.max()),
        Feature("job", "categorical", False, ("cook", "nurse"), True, 0.0, 0.0, 0.0, 0.0),
    )
    publish(tmp_path, features=features)
    reference = Reference(
        5001,
        (
            Distribution("job", (1000, 1001, 3000)),
            Distribution("income", tuple(counts.tolist()), tuple(edges.tolist())),
        ),
        8,
        (Distribution("animal", (8, 0, 0)),),
    )
    rewrite(tmp_path / "small" / "1", lambda document: document.update(reference=_as_document(reference)))
    application = Application(tmp_path)
    found = application.ask("GET", VERSION.format("small", 1)).json()
    application.close()
    assert found["typical"]["income"] == pytest.approx(np.median(values), rel=0.03)
    assert found["typical"]["income"] < values.mean() * 0.7
    assert found["typical"]["job"] == "nurse"  # not the rare ones together
    assert found["important"] == ["job", "income"]


def _as_document(reference: Reference) -> dict[str, object]:
    def written(found: Distribution) -> dict[str, object]:
        return {"name": found.name, "counts": found.counts, "edges": found.edges, "missing": found.missing}

    return {
        "rows": reference.rows,
        "features": [written(each) for each in reference.features],
        "prediction_rows": reference.prediction_rows,
        "predictions": [written(each) for each in reference.predictions],
    }
