"""The error tree. Each request error belongs to one arrow of the path of a request; nothing here knows HTTP.

ServiceError
├── StartError                  the server cannot start: printed as one sentence, exit code 1
│   ├── ModelRefused            a model did not prove itself
│   └── ProviderUnavailable     the hardware asked for is not there
└── RequestError                one request cannot be answered as asked; its neighbours can
    ├── MalformedRequest        connection → headers
    ├── HeadersTooLarge         connection → headers
    ├── ReceiveTimeout          connection → headers and body
    ├── BodyTooLarge            connection → body
    ├── NotFound                path       → model
    ├── MethodNotAllowed        path       → method
    ├── UnsupportedMedia        headers    → how to read the body
    ├── MalformedBody           bytes      → document
    ├── InvalidInput            document   → rows the model can take
    ├── InvalidOption           query and headers → options
    ├── Retryable               rows       → queue
    │   ├── NotReady            starting, or going down
    │   └── Overloaded          no room, for the body or the rows
    ├── DeadlineExceeded        queue      → run: too late
    ├── ModelFailed             run        → answer
    └── ServerFailed            anywhere: a fault of ours
"""

from __future__ import annotations

from dataclasses import dataclass


class ServiceError(Exception):
    """Anything the service raises on purpose."""


class StartError(ServiceError):
    """The server cannot start; the message is one sentence with the reason and the way out."""


class ModelRefused(StartError):
    """A model failed its checks and takes no traffic."""


class ProviderUnavailable(StartError):
    """The execution provider asked for cannot run here."""


class RequestError(ServiceError):
    """A request gets no prediction; the message tells its sender what was wrong and what was expected."""


class MalformedRequest(RequestError):
    """The bytes are not HTTP."""


class HeadersTooLarge(RequestError):
    """The request line and headers have more bytes than the server takes."""


class ReceiveTimeout(RequestError):
    """The headers or the body did not arrive in time."""


class BodyTooLarge(RequestError):
    """The body has more bytes than the server takes."""


class NotFound(RequestError):
    """No such path, model or version."""


class MethodNotAllowed(RequestError):
    """The path is there, and takes other methods: ``allowed``, with commas between."""

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class UnsupportedMedia(RequestError):
    """The body's type or encoding is none the service reads."""


class MalformedBody(RequestError):
    """The bytes are not what their type says."""


class InvalidOption(RequestError):
    """A query parameter or header has a value that means nothing here."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value: its row, counted from 0, and its feature, where they are known."""

    detail: str
    row: int | None = None
    feature: str | None = None


class InvalidInput(RequestError):
    """The document is well-formed but not rows this model takes; ``fault`` names the first bad value."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class Retryable(RequestError):
    """The same request can succeed after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(Retryable):
    """The server is starting or going down."""


class Overloaded(Retryable):
    """There is no room for this body, or for these rows."""


class DeadlineExceeded(RequestError):
    """The answer would come, or came, too late; the rows were not run after it was known."""


class ModelFailed(RequestError):
    """The runtime failed on these rows; what it said is in the server's log, not in the answer."""


class ServerFailed(RequestError):
    """Something went wrong that nobody foresaw; what it was is in the server's log, not in the answer."""

    def __init__(self) -> None:
        super().__init__("the server failed on this request; its log has the reason under this request id")
