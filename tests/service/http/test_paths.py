"""The route table: URLs of predictions, and what is parsed from them."""

from __future__ import annotations

import pytest

from service.http.paths import RouteTable
from service.http.protocols.native import NativeProtocol

NATIVE = NativeProtocol(1000)
TABLE = RouteTable([NATIVE])


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (b"/predict", ("/predict", "/predict", None, None, None)),
        (b"/predict?top_k=1", ("/predict", "/predict", None, None, "top_k=1")),
        (b"/predict?", ("/predict", "/predict", None, None, "")),
        (b"/models/a.b/predict", ("/models/a.b/predict", "/models/{name}/predict", "a.b", None, None)),
        (
            b"/models/a/versions/3/predict?x",
            ("/models/a/versions/3/predict", "/models/{name}/versions/{version}/predict", "a", "3", "x"),
        ),
    ],
)
def test_a_url_matches_its_route(url: bytes, found: tuple[str | None, ...]) -> None:
    match = TABLE.match(url)
    assert match is not None
    assert (match.path, match.route, match.model, match.version, match.query) == found
    assert match.protocol is NATIVE


@pytest.mark.parametrize(
    "url", [b"/predict/", b"/predict#x", b"/models//predict", b"/models/a%2e/predict", b"/models", b"/xpredict", b""]
)
def test_other_urls_are_left_to_fastapi(url: bytes) -> None:
    assert TABLE.match(url) is None
