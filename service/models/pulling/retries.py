"""Tries again what a source may refuse for a moment, after pauses that double."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from service.manifest import ArtifactError
from service.models.command import CommandError
from service.models.file_systems import reason

PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0)
# Trying again does not help against these.
_FINAL: Final = (NotADirectoryError, IsADirectoryError, PermissionError, ImportError)

T = TypeVar("T")


class SourceAway(CommandError):
    """A source cannot be read, now."""


class NotThere(ArtifactError):
    """A source has no such file or folder."""


class WriteFault(Exception):
    """The models folder cannot be written; the `OSError` is its cause."""


class Retries:
    """Calls functions that read a source. ``sleep`` waits for some seconds."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self._sleep = sleep

    def __call__(self, call: Callable[[], T], what: str) -> T:
        """The result of ``call``, which reads ``what``.

        Raises `ArtifactError` and `WriteFault` as ``call`` does, `NotThere` for a `FileNotFoundError`, and `SourceAway`
        for every other error, if it comes again after each pause.
        """
        pauses_s = iter(PAUSES_S)
        while True:
            try:
                return call()
            except (ArtifactError, WriteFault):
                raise
            except FileNotFoundError:
                raise NotThere(f"{what} does not exist; check the name") from None
            except Exception as error:  # noqa: BLE001 - each store has its own errors
                pause_s = next(pauses_s, None)
                if pause_s is None or isinstance(error, _FINAL):
                    raise SourceAway(
                        f"{what} cannot be read ({reason(error):.200}); check the name, the network and the credentials"
                    ) from None  # a cause could show the credentials
            self._sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - not all replicas at once
