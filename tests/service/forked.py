"""Run part of a test in a child process, with its own limits and globals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

PATIENCE_S = 30.0


def in_a_child(work: Callable[..., Any], *arguments: Any) -> None:
    """Run ``work(*arguments)`` in a child process, which must exit with 0. Its failures are on stderr."""
    child = get_context("fork").Process(target=work, args=arguments)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # there may be threads
        child.start()
    child.join(PATIENCE_S)
    exit_status = child.exitcode
    child.kill()
    child.join()
    assert exit_status == 0
