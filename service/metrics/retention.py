"""Removes the label sets of versions and models that are gone, so that neither a scrape nor the files grow for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from service.metrics.files import OpenFiles
from service.metrics.instruments import Instruments

# So many of what was unloaded stay, for a scrape that comes late. More are removed together, as that rewrites files.
_KEPT: Final = 20
_REMOVED_AT: Final = 30


class Retention:
    """Removes label sets from the metrics of ``make``, and from this worker's files if there are several workers."""

    def __init__(self, make: Instruments, opened: OpenFiles | None) -> None:
        self._made = make
        self._opened = opened
        self._gone: list[str] = []

    def versions(self, model: str, loaded: Collection[int]) -> None:
        """Forget the versions of a model but those that are loaded and the newest others."""
        known = {labels["version"] for labels in self._labels() if labels.get("model") == model and "version" in labels}
        others = sorted(known - set(map(str, loaded)), key=int)
        if len(others) > _REMOVED_AT:
            unwanted = set(others[:-_KEPT])
            self._forget(lambda labels: labels.get("model") == model and labels.get("version") in unwanted)

    def models(self, live: Collection[str]) -> None:
        """Forget the models but the ``live`` ones and the last that were removed."""
        known = {labels["model"] for labels in self._labels() if "model" in labels and "version" in labels}
        gone = known - set(live)
        self._gone = [name for name in self._gone if name in gone]
        self._gone += sorted(gone - set(self._gone))
        if len(self._gone) > _REMOVED_AT:
            unwanted, self._gone = set(self._gone[:-_KEPT]), self._gone[-_KEPT:]
            self._forget(lambda labels: labels.get("model") in unwanted)

    def _labels(self) -> list[Mapping[str, str]]:
        return self._made.labels() + ([] if self._opened is None else self._opened.labels())

    def _forget(self, unwanted: Callable[[Mapping[str, str]], bool]) -> None:
        self._made.forget(unwanted)
        if self._opened is not None:
            self._opened.forget(unwanted)
