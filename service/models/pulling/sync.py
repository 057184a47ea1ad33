"""Looks at a source again and again, beside a server that reloads what appears; ends only by a signal."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from service.errors import StartError
from service.manifest import ArtifactError
from service.models import table
from service.models.command import CommandError
from service.models.pulling.mirror import Mirror

_log = logging.getLogger(__name__)


def run(
    mirror: Mirror, interval_s: float, sleep: Callable[[float], object], write: Callable[[str], object]
) -> NoReturn:
    """Look every ``interval_s`` seconds, for ever. What fails is logged once, and tried again at the next look."""
    failed = shown = ""
    while True:
        try:
            outcome = mirror.look()
        except (ArtifactError, CommandError, StartError) as error:
            if str(error) != failed:
                _log.warning("%s; tried again every %g s", table.printable(str(error)), interval_s)
            failed = str(error)
        except Exception:  # noqa: BLE001 - the sidecar of a server must not end
            _log.exception("a look at the source failed; tried again in %g s", interval_s)
            failed = "?"
        else:
            if failed or str(outcome) != shown:
                write(str(outcome))
            failed, shown = "", str(outcome)
        sleep(interval_s)


@contextmanager
def ended_by_sigterm(status: int) -> Iterator[None]:
    """End the process with ``status`` at a SIGTERM, at once.

    A pull leaves nothing incomplete when it is killed at any moment, so there is nothing to finish.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(status)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
