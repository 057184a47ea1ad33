"""Counts that each worker writes to a file now and then, so that any of them can answer a scrape for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from service.metrics.exemplars import Exemplar

_log = logging.getLogger(__name__)

# How often a worker writes its counts, and after how long the file of a dead or hung one is not counted any more.
SHARE_EVERY_S: Final = 5.0
_STALE_S: Final = 60.0


class Shared(NamedTuple):
    """What a worker shares: the counts for the drift of each version, and exemplars by series."""

    counts: Mapping[str, NDArray[np.float64]]
    exemplars: Mapping[str, Exemplar]


class SharedCounts:
    """The counts of the workers in ``folder``; this one has the number ``index``.

    ``clock`` is the same for all processes, such as `time.monotonic`.
    """

    def __init__(self, index: int, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._path = folder / f"counts_{index}.json"
        self._clock = clock
        self._failed = False

    def write(self, shared: Shared) -> None:
        """Replace this worker's counts. A full disk is logged once, and then this worker is missing from the sums."""
        content = {
            "written_s": self._clock(),
            "counts": {key: each.tolist() for key, each in shared.counts.items()},
            "exemplars": {series: tuple(each) for series, each in shared.exemplars.items()},
        }
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(orjson.dumps(content))
            new.rename(self._path)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.error(
                    "the counts of this worker are missing from the drift that other workers report: %s: %s; "
                    "free some space",
                    *(new, error.strerror),
                )
            self._failed = True

    def read(self) -> list[Shared]:
        """What each other worker shares."""
        others = (path for path in sorted(self._folder.glob("counts_*.json")) if path != self._path)
        return [shared for path in others if (shared := self._read(path)) is not None]

    def _read(self, path: Path) -> Shared | None:
        try:
            content: dict[str, Any] = orjson.loads(path.read_bytes())
        except (OSError, ValueError):  # it was removed, or cut short by a full disk
            return None
        if self._clock() - content["written_s"] > _STALE_S:
            return None
        return Shared(
            {key: np.array(each, np.float64) for key, each in content["counts"].items()},
            {series: Exemplar(*each) for series, each in content["exemplars"].items()},
        )
