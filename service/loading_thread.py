"""The threads that load versions. A stop signal neither waits for them nor interrupts the native code in them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

_Result = TypeVar("_Result")

_NAME: Final = "loading"


def start(work: Callable[[], None]) -> None:
    """Run ``work`` in a thread."""
    threading.Thread(target=work, name=_NAME, daemon=True).start()


def wait_for(call: Callable[[], _Result]) -> _Result:
    """Run ``call`` in a thread, and return or raise what it returns or raises.

    The main thread waits here for ``call`` or for a stop signal, whose SystemExit it raises at once. In native code
    that exception would come out as another one: pydantic makes it "this schema is wrong", and a version is refused.
    """
    result: Future[_Result] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            result.set_exception(error)

    start(work)
    return result.result()


def is_running() -> bool:
    """Whether one of the threads still runs.

    The interpreter must not end normally then: it would end the thread inside ONNX Runtime, which aborts the process.
    """
    return any(thread.name == _NAME for thread in threading.enumerate())
