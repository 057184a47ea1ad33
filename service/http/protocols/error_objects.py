"""Errors as ``{"error": "…"}``, the form of TF-Serving, KServe and Triton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from service.errors import InvalidInput, RequestError
from service.http import problems
from service.http.messages import JSON_HEADERS, Response

_SCHEMA: Final = {
    "type": "object",
    "title": "Error",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "what was found, what was expected, and the remedy"}},
}


def response(error: RequestError, request_id: str) -> Response:
    """The response to a request that failed with ``error``. Clients expect 400 for bad input, not 422."""
    found = problems.response(error, request_id)
    headers = tuple(header for header in found.headers if header[0] != b"content-type")
    status = 400 if isinstance(error, InvalidInput) else found.status
    return Response(status, (*JSON_HEADERS, *headers), orjson.dumps({"error": str(error)}))


def described(description: str) -> dict[str, Any]:
    """The OpenAPI response object of an error."""
    return {"description": description, "content": {"application/json": {"schema": _SCHEMA}}}


def responses() -> Mapping[str, Any]:
    """The OpenAPI response objects of all errors, by status."""
    found = {status: described(each["description"]) for status, each in problems.responses().items()}
    invalid = found.pop("422")
    found["400"] = described(f"{found['400']['description']}; {invalid['description']}")
    return found


NOT_FOUND: Final = described("There is no such model or version")
