"""GET /docs: a page that a browser can show without the internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from service.http import docs
from tests.service.http.protocols.application import Application
from tests.service.published import publish

STATIC = Path(docs.__file__).with_name("static")
SWAGGER_UI = Path(str(files("fastapi_swagger"))) / "resources"
TYPES = {"css": "text/css", "js": "javascript", "png": "image/png"}


class References(HTMLParser):
    """The addresses in a page, and the text of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.scripts += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts.append(data.strip())


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    models = tmp_path_factory.mktemp("models")
    publish(models)
    running = Application(models)
    yield running
    running.close()


def test_everything_on_the_page_is_served_by_the_server(application: Application) -> None:
    page = application.ask("GET", "/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = References(page.text)
    assert set(found.addresses) == {
        "openapi.json",
        *(f"docs/{name}" for name in ("swagger-ui.css", "favicon-32x32.png", "swagger-ui-bundle.js", "docs.js")),
    }
    for address in found.addresses:
        answer = application.ask("GET", f"/{address}")
        assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"])), address
        if address.startswith("docs/"):
            assert TYPES[address.rsplit(".", 1)[1]] in answer.headers["content-type"]
            name = address.removeprefix("docs/")
            assert answer.content == ((STATIC if name == "docs.js" else SWAGGER_UI) / name).read_bytes()


def test_the_policy_forbids_other_servers_and_inline_scripts(application: Application) -> None:
    page = application.ask("GET", "/docs")
    policy = dict(each.strip().split(" ", 1) for each in page.headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert "http" not in page.headers["content-security-policy"]
    assert not any(References(page.text).scripts)
    # By default the page would ask a server on the internet whether the document is valid.
    assert "validatorUrl: null" in application.ask("GET", "/docs/docs.js").text
    assert not re.search(r"https?://|url\(['\"]?//", re.sub(r"http://www\.w3\.org/\S+", "", _styles()))


def _styles() -> str:
    return (SWAGGER_UI / "swagger-ui.css").read_text()


def test_a_browser_keeps_the_files(application: Application) -> None:
    first = application.ask("GET", "/docs/swagger-ui.css")
    assert first.headers["cache-control"] == "public, max-age=86400"
    again = application.ask("GET", "/docs/swagger-ui.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/docs/none.js",
        "/docs/docs.html",
        "/docs/__init__.py",
        "/docs/%2e%2e",
        "/docs/%2e%2e%2fdocs.py",
        "/docs/",
        "/redoc",
    ],
)
def test_nothing_else_is_served(application: Application, path: str) -> None:
    answer = application.ask("GET", path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:mlp-serving:not-found")


def test_the_document_leaves_the_page_out(application: Application) -> None:
    assert not [path for path in application.ask("GET", "/openapi.json").json()["paths"] if "docs" in path]


@pytest.mark.parametrize("sent", ["bytes=0-9", "bytes=5-2", "bytes=99999999-", "lines=1", "bytes=0-1,3-4"])
def test_a_file_is_always_whole(application: Application, sent: str) -> None:
    whole = application.ask("GET", "/docs/swagger-ui.css")
    found = application.ask("GET", "/docs/swagger-ui.css", headers={"range": sent})
    assert (found.status_code, found.content) == (200, whole.content)
