"""Error → gRPC status, in one table: https://grpc.io/docs/guides/status-codes/."""

from __future__ import annotations

import math
from typing import Any, Final

import grpc

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
    RateLimited,
    ReceiveTimeout,
    RequestError,
    Retryable,
    ServerFailed,
    Unauthenticated,
    UnsupportedMedia,
)
from service.http import problems
from service.http.messages import Headers, Response

STATUS: Final = b"grpc-status"
RETRY_AFTER: Final = b"retry-after"
# A client reads 8 kB of metadata, in which a character of the message takes up to twelve.
_MAX_MESSAGE: Final = 600

STATUSES: Final[dict[type[RequestError], str]] = {
    MalformedRequest: "INVALID_ARGUMENT",
    MalformedBody: "INVALID_ARGUMENT",
    InvalidOption: "INVALID_ARGUMENT",
    Unauthenticated: "UNAUTHENTICATED",
    NotFound: "NOT_FOUND",
    MethodNotAllowed: "UNIMPLEMENTED",
    ReceiveTimeout: "DEADLINE_EXCEEDED",
    BodyTooLarge: "RESOURCE_EXHAUSTED",
    UnsupportedMedia: "UNIMPLEMENTED",
    InvalidInput: "INVALID_ARGUMENT",
    Overloaded: "RESOURCE_EXHAUSTED",
    RateLimited: "RESOURCE_EXHAUSTED",
    HeadersTooLarge: "RESOURCE_EXHAUSTED",
    ModelFailed: "INTERNAL",
    ServerFailed: "INTERNAL",
    NotReady: "UNAVAILABLE",
    DeadlineExceeded: "DEADLINE_EXCEEDED",
}


def response(error: RequestError) -> Response:
    """The response to a request that failed with ``error``, with the HTTP status that metrics and logs count."""
    headers: Headers = ((STATUS, STATUSES[type(error)].encode()),)
    if isinstance(error, Retryable):
        headers += ((RETRY_AFTER, b"%d" % max(1, math.ceil(error.retry_after_s))),)
    message = str(error)
    if len(message) > _MAX_MESSAGE:
        message = message[: _MAX_MESSAGE - 1] + "…"
    return Response(problems.PROBLEMS[type(error)][0], headers, message.encode(errors="backslashreplace"))


async def abort(context: Any, error: RequestError) -> None:
    """Abort an RPC that is not recorded; ``context`` is a grpc.aio.ServicerContext. It raises what ends the RPC."""
    await context.abort(grpc.StatusCode[STATUSES[type(error)]], str(error))
