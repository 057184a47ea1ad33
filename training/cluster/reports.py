"""How the epochs of a run come from its workers to the command line. Imports no torch: two processes load it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ray.train import UserCallback


class Reports:
    """An actor that holds the epochs that were reported."""

    def __init__(self) -> None:
        self._epochs: dict[int, dict[str, Any]] = {}

    def put(self, epochs: list[dict[str, Any]]) -> None:
        """Add ``epochs``; those that are trained again after a worker was lost replace the ones before."""
        self._epochs.update({each["number"]: each for each in epochs})

    def take(self, seen: int) -> list[dict[str, Any]]:
        """The epochs after the first ``seen``."""
        return [self._epochs[number] for number in sorted(self._epochs) if number > seen]


class Reporting(UserCallback):  # type: ignore[misc] # Ray has no types here
    """Passes what the first worker reports from Ray's controller to `Reports`."""

    def __init__(self, reports: Any) -> None:
        self._reports = reports

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        """Called by Ray when all workers have reported."""
        with suppress(Exception):  # a report that is lost is no reason to end a run
            self._reports.put.remote(metrics[0]["epochs"])
