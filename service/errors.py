"""The error tree. Each request error belongs to one step of a request; nothing here knows HTTP.

ServiceError
├── StartError                  the server cannot start: printed as one sentence, exit status 1
│   ├── ModelRefused            a model failed its checks
│   └── ProviderUnavailable     the requested hardware is missing
└── RequestError                one request failed; others are not affected
    ├── MalformedRequest        connection → headers
    ├── HeadersTooLarge         connection → headers
    ├── ReceiveTimeout          connection → headers and body
    ├── BodyTooLarge            connection → body
    ├── Unauthenticated         headers    → key
    ├── NotFound                path       → model
    ├── MethodNotAllowed        path       → method
    ├── UnsupportedMedia        headers    → codec
    ├── MalformedBody           bytes      → document
    ├── InvalidInput            document   → rows
    ├── InvalidOption           query and headers → options
    ├── Retryable               rows       → queue
    │   ├── NotReady            starting, or going down
    │   ├── RateLimited         key        → its limits
    │   └── Overloaded          no space for the body or the rows
    │       └── QueueTooLong    the rows would wait too long
    ├── DeadlineExceeded        queue      → run
    ├── ModelFailed             run        → response
    └── ServerFailed            anywhere: a bug
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


class ServiceError(Exception):
    """Base class of all errors of the service."""


class StartError(ServiceError):
    """The server cannot start. The message is one sentence with the reason and the way out."""


class ModelRefused(StartError):
    """A model failed its checks and is not served."""


class ProviderUnavailable(StartError):
    """The requested execution provider cannot run here."""


class RequestError(ServiceError):
    """A request cannot be answered. The message tells the client what was wrong and what was expected."""


class MalformedRequest(RequestError):
    """The bytes are not valid HTTP."""


class HeadersTooLarge(RequestError):
    """The request line and headers exceed the limit."""


class ReceiveTimeout(RequestError):
    """The headers or the body did not arrive in time."""


class BodyTooLarge(RequestError):
    """The body exceeds the limit."""


class Unauthenticated(RequestError):
    """The request has no key that is known."""


class NotFound(RequestError):
    """There is no such path, model or version."""


class MethodNotAllowed(RequestError):
    """The path exists, but not for this method. ``allowed`` lists the methods, separated by commas."""

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class UnsupportedMedia(RequestError):
    """The body's media type or encoding is not supported."""


class MalformedBody(RequestError):
    """The body is not valid for its media type."""


class InvalidOption(RequestError):
    """A query parameter or header has an invalid value."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value, with its row, counted from 0, and its feature, if they are known."""

    detail: str
    row: int | None = None
    feature: str | None = None

    def as_dict(self) -> dict[str, str | int]:
        """What is known of it, by name."""
        known = {"row": self.row, "feature": self.feature, "detail": self.detail}
        return {name: value for name, value in known.items() if value is not None}


class InvalidInput(RequestError):
    """The document is well-formed, but its rows do not fit the model.

    ``hint`` is a remedy that takes long to find, so it is found when it is read. ``more`` are faults of other values.
    ``beside`` follows the message: it names the other features of the row that do not fit.
    """

    def __init__(
        self,
        fault: Fault,
        hint: Callable[[], str] | None = None,
        more: Sequence[Fault] = (),
        *,
        beside: str = "",
    ) -> None:
        super().__init__(fault.detail)
        self._fault = fault
        self._hint = hint
        self.more = more
        self.beside = beside

    def __str__(self) -> str:
        return self.fault.detail + self.beside

    @property
    def brief(self) -> Fault:
        """The first bad value, without the remedy that takes long to find."""
        return self._fault

    @property
    def fault(self) -> Fault:
        """The first bad value."""
        if self._hint is not None:
            self._fault = replace(self._fault, detail=f"{self._fault.detail}; {self._hint()}")
            self._hint = None
        return self._fault


class Retryable(RequestError):
    """The same request can succeed after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(Retryable):
    """The server is starting or stopping."""


class RateLimited(Retryable):
    """The key's limit of requests or rows is reached."""


class Overloaded(Retryable):
    """There is no space for this body or these rows."""


class QueueTooLong(Overloaded):
    """These rows would wait too long for those before them."""


class DeadlineExceeded(RequestError):
    """The response would be late. No rows are run after that is known."""


class ModelFailed(RequestError):
    """The runtime failed on these rows. Its message is in the log, not in the response."""


class ServerFailed(RequestError):
    """An unexpected error. Its traceback is in the log, not in the response."""

    def __init__(self) -> None:
        super().__init__("the server failed on this request; its log has the reason under this request id")
