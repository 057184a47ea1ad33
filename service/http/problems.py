"""Error → status and body, in one table: RFC 9457 problem details.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

import math
from typing import Any, Final

import orjson

from service.errors import (
    BodyTooLarge,
    DeadlineExceeded,
    HeadersTooLarge,
    InvalidInput,
    InvalidOption,
    MalformedBody,
    MalformedRequest,
    MethodNotAllowed,
    ModelFailed,
    NotFound,
    NotReady,
    Overloaded,
    QueueTooLong,
    RateLimited,
    ReceiveTimeout,
    RequestError,
    Retryable,
    ServerFailed,
    Unauthenticated,
    UnsupportedMedia,
)
from service.http.messages import Header, Response

TYPE_PREFIX: Final = "urn:mlp-serving:"
CLOSE: Final = (b"connection", b"close")
# How to authenticate: https://www.rfc-editor.org/rfc/rfc6750#section-3
CHALLENGE: Final = (b"www-authenticate", b"Bearer")
MEDIA_TYPE: Final = "application/problem+json"

# The name is stable: it is in docs/errors.md, in metrics and in logs.
PROBLEMS: Final[dict[type[RequestError], tuple[int, str, str]]] = {
    MalformedRequest: (400, "malformed-request", "The request is not valid HTTP"),
    MalformedBody: (400, "malformed-body", "The body does not match its content type"),
    InvalidOption: (400, "invalid-option", "A query parameter or header is invalid"),
    Unauthenticated: (401, "unauthenticated", "The request has no valid key"),
    NotFound: (404, "not-found", "There is no such path, model or version"),
    MethodNotAllowed: (405, "method-not-allowed", "The path does not support this method"),
    ReceiveTimeout: (408, "receive-timeout", "The request did not arrive in time"),
    BodyTooLarge: (413, "body-too-large", "The body is too large"),
    UnsupportedMedia: (415, "unsupported-media", "The body's type or encoding is not supported"),
    InvalidInput: (422, "invalid-input", "The rows do not fit the model"),
    Overloaded: (429, "overloaded", "The server is overloaded"),
    QueueTooLong: (429, "queue-too-long", "The queue is too long"),
    RateLimited: (429, "rate-limited", "The key's limit is reached"),
    HeadersTooLarge: (431, "headers-too-large", "The request line and headers are too large"),
    ModelFailed: (500, "model-failed", "The model failed"),
    ServerFailed: (500, "internal-error", "The server failed"),
    NotReady: (503, "not-ready", "The server is not ready"),
    DeadlineExceeded: (504, "deadline-exceeded", "The response would miss its deadline"),
}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "a stable name of the problem"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "the name, the value, what was expected, and the remedy"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "the first bad value of a request; of each row with on_error=row",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "row": {"type": "integer", "description": "counted from 0"},
                    "feature": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def name_of(error: RequestError) -> str:
    """The problem's stable name, as in metrics and logs."""
    return PROBLEMS[type(error)][1]


def response(error: RequestError, request_id: str) -> Response:
    """The problem document for a request that failed with ``error``.

    Its ``detail`` gives the name, the value, what was expected, and the remedy.
    """
    status, name, title = PROBLEMS[type(error)]
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + name,
        "title": title,
        "status": status,
        "detail": str(error),
        "request_id": request_id,
    }
    headers: list[Header] = [(b"content-type", MEDIA_TYPE.encode())]
    if isinstance(error, InvalidInput):
        document["errors"] = [fault.as_dict() for fault in (error.fault, *error.more)]
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, Unauthenticated):
        headers.append(CHALLENGE)
    if isinstance(error, Retryable):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if isinstance(error, MalformedRequest | HeadersTooLarge | ReceiveTimeout):
        # The connection decides for a body that is too large, or has no room: it closes if much of it is unread.
        headers.append(CLOSE)
    return Response(status, tuple(headers), orjson.dumps(document))


def described(description: str) -> dict[str, Any]:
    """The OpenAPI response object of a problem."""
    return {"description": description, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}


def responses() -> dict[str, dict[str, Any]]:
    """The OpenAPI response objects of all problems, by status."""
    descriptions: dict[int, list[str]] = {}
    for status, name, title in PROBLEMS.values():
        descriptions.setdefault(status, []).append(f"{title} (`{name}`)")
    return {str(status): described("; ".join(each)) for status, each in descriptions.items()}
