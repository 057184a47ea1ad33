"""A call in a thread: its result, its error, and a stop signal during it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from service import loading_thread
from service.server import Stop
from tests.service.running import PATIENCE_S


def test_the_result_of_the_call() -> None:
    assert loading_thread.wait_for(lambda: 7) == 7


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_the_error_of_the_call(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error("x")

    with pytest.raises(error, match="x"):
        loading_thread.wait_for(fail)


def test_a_stop_signal_ends_the_wait_and_does_not_interrupt_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Natives such as pydantic turn the signal's SystemExit into an error of the version that is being loaded."""
    monkeypatch.setattr("sys.unraisablehook", None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    may_end, ended = threading.Event(), threading.Event()

    def call() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        if may_end.wait(PATIENCE_S):
            ended.set()

    try:
        Stop().listen()
        with pytest.raises(SystemExit):
            loading_thread.wait_for(call)
        assert loading_thread.is_running()
        may_end.set()
        assert ended.wait(PATIENCE_S)
    finally:
        may_end.set()
        for number, handler in before.items():
            signal.signal(number, handler)
    ends_at_s = time.monotonic() + PATIENCE_S
    while loading_thread.is_running() and time.monotonic() < ends_at_s:
        time.sleep(0.01)
    assert not loading_thread.is_running()
