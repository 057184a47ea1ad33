"""The limits on a request and on buffered bodies, each with the error that a client gets for exceeding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.errors import BodyTooLarge, HeadersTooLarge, Overloaded, ReceiveTimeout

# After a response, at most so much of the request's body is read to keep the connection; if more is left, it is closed.
MAX_UNREAD_BYTES: Final = 128 * 1024
_RETRY_S: Final = 1.0
# A body of one-byte chunks takes six bytes on the wire for each of its own.
_WIRE_BYTES_PER_BODY_BYTE: Final = 6


def unread_bytes(declared_bytes: int, received_bytes: int) -> int:
    """How much of a body is still to come. One in chunks declares nothing: as much as came is expected."""
    return (declared_bytes or 2 * received_bytes) - received_bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """How large one request may be, and how many seconds it may take to arrive.

    ``max_body_bytes`` counts a body as sent, before decompression; ``max_head_bytes`` the request line and headers, and
    once more the trailers and chunk extensions.
    """

    max_body_bytes: int
    receive_timeout_s: float
    max_rows: int
    max_head_bytes: int = 64 * 1024
    max_target_bytes: int = 8 * 1024  # of the path and query: parsing a long query takes milliseconds
    max_headers: int = 256  # in memory a short header takes many times its bytes

    @property
    def max_request_bytes(self) -> int:
        """The most bytes that an accepted request can take on the wire, however its body is chunked."""
        return self.max_head_bytes + _WIRE_BYTES_PER_BODY_BYTE * self.max_body_bytes

    def check_declared(self, body_bytes: int) -> None:
        """Raise `BodyTooLarge` for a body that will be too large."""
        if body_bytes > self.max_body_bytes:
            raise self.body_too_large()

    def body_too_large(self) -> BodyTooLarge:
        """The error for a body of too many bytes, declared or received."""
        return BodyTooLarge(f"the body has more than {self.max_body_bytes} bytes; send fewer rows at once")

    def head_too_large(self) -> HeadersTooLarge:
        """The error for a request line and headers of too many bytes."""
        return HeadersTooLarge(f"the headers have more than {self.max_head_bytes} bytes; send fewer, or shorter ones")

    def target_too_long(self) -> HeadersTooLarge:
        """The error for a path and query of too many bytes."""
        return HeadersTooLarge(f"the path and query have more than {self.max_target_bytes} bytes; send shorter ones")

    def too_many_headers(self) -> HeadersTooLarge:
        """The error for too many headers."""
        return HeadersTooLarge(f"the request has more than {self.max_headers} headers; send fewer")

    def framing_too_large(self) -> HeadersTooLarge:
        """The error for trailers and chunk extensions of too many bytes."""
        return HeadersTooLarge(
            f"the body's trailers and chunk extensions have more than {self.max_head_bytes} bytes; send none, they are "
            "ignored"
        )

    def head_too_late(self) -> ReceiveTimeout:
        """The error for a request line and headers that did not arrive in time."""
        return ReceiveTimeout(f"the headers did not arrive within {self.receive_timeout_s:g} s; send them at once")

    def body_too_late(self) -> ReceiveTimeout:
        """The error for a body that did not arrive in time."""
        return ReceiveTimeout(f"the body did not arrive within {self.receive_timeout_s:g} s; send it at once")


class BodyBudget:
    """The memory for request bodies, and for unparsed bytes, on all connections together."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.buffered_bytes = 0

    def acquire(self, size_bytes: int) -> None:
        """Reserve ``size_bytes``. Raises `Overloaded` if they exceed the budget."""
        if self.buffered_bytes + size_bytes > self._max_bytes:
            raise Overloaded(
                f"request buffer full: {self.buffered_bytes} + {size_bytes} bytes exceeds {self._max_bytes}; send "
                "fewer large requests at once, or add replicas",
                _RETRY_S,
            )
        self.buffered_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Return ``size_bytes`` to the budget."""
        self.buffered_bytes -= size_bytes


class BodyCounter:
    """The bytes received of one request's body: checked against the limits, and held in the budget until `release`."""

    __slots__ = ("_budget", "_limits", "received_bytes")

    def __init__(self, limits: Limits, budget: BodyBudget) -> None:
        self._limits = limits
        self._budget = budget
        self.received_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count the next piece. Raises `BodyTooLarge`, or `Overloaded` if the budget has no room for it."""
        if self.received_bytes + size_bytes > self._limits.max_body_bytes:
            raise self._limits.body_too_large()
        self._budget.acquire(size_bytes)
        self.received_bytes += size_bytes

    def release(self) -> None:
        """Return all counted bytes to the budget."""
        self._budget.release(self.received_bytes)
        self.received_bytes = 0
