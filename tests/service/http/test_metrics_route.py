"""GET /metrics answers in the format and encoding that its client prefers."""

from __future__ import annotations

import gzip

import httpx
import pytest
from fastapi import FastAPI

from service.http import metrics_route
from service.metrics.scrapes import Wanted
from service.metrics.text_formats import Format

TEXT, OPENMETRICS = (
    "text/plain; version=1.0.0; charset=utf-8",
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
)


async def ask(**headers: str) -> httpx.Response:
    async def scrape(wanted: Wanted) -> bytes:
        text = wanted.form.name.encode()
        return gzip.compress(text) if wanted.gzipped else text

    app = FastAPI()
    app.include_router(metrics_route.router(scrape))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers={}) as client:
        client.headers.clear()
        return await client.get("/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.anyio
async def test_of_long_headers_the_beginning_counts() -> None:
    """To parse 64 kB would hold up the event loop."""
    late = "," * 1024
    found = await ask(accept=f"{late}application/openmetrics-text", accept_encoding=f"{late}gzip")
    assert (found.headers["content-type"], "content-encoding" in found.headers) == (TEXT, False)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format.TEXT),
        ("text/plain", Format.TEXT),
        ("text/plain;version=0.0.4", Format.TEXT),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0", Format.OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1,*/*;q=0.1", Format.TEXT),
        ("application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.8", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        # Prometheus 2 and 3
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;"
            "version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,"
            "*/*;q=0.1",
            Format.OPENMETRICS,
        ),
    ],
)
async def test_the_format(accept: str | None, form: Format) -> None:
    answer = await ask(**({} if accept is None else {"accept": accept}))
    assert answer.text == form.name
    assert answer.headers["content-type"] == {Format.TEXT: TEXT, Format.OPENMETRICS: OPENMETRICS}[form]
    assert answer.headers["vary"] == "accept, accept-encoding"
    assert "content-encoding" not in answer.headers


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("encodings", "gzipped"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("br", False),
        ("", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("identity;q=1, *;q=0", False),
    ],
)
async def test_the_encoding(encodings: str, *, gzipped: bool) -> None:
    answer = await ask(accept_encoding=encodings)
    assert answer.text == "TEXT"  # httpx decodes it
    assert answer.headers.get("content-encoding") == ("gzip" if gzipped else None)
