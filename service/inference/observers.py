"""What is called after each run of a served version: its interface, and all of them as one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from service.inference.session import Outputs
from service.metrics.models import Count


class Observer(Protocol):
    """Looks at the rows and outputs of one served version."""

    def observe(self, rows: NDArray[Any], outputs: Outputs) -> None:
        """Take note of a run. ``rows`` (rows, features) are valid during the call alone."""

    def close(self) -> None:
        """The version is not served any more."""


def together(count: Count, observers: Sequence[Observer]) -> Callable[[NDArray[Any], Outputs], None]:
    """A function that calls ``count`` with a run's outputs, and then each of the observers."""
    if not observers:
        return lambda _rows, outputs: count(*outputs)
    functions = [observer.observe for observer in observers]

    def observe(rows: NDArray[Any], outputs: Outputs) -> None:
        count(*outputs)
        for function in functions:
            function(rows, outputs)

    return observe
