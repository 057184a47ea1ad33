"""The files in which each worker keeps its metrics, so that any worker can answer a scrape for all.

https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from service.errors import StartError

# Space that is always reserved for later label sets, and the size of an entry besides its name, at most.
_RESERVE_BYTES: Final = 64 * 1024
_ENTRY_BYTES: Final = 32
# Counters, histograms, summaries, and gauges of three kinds.
_WORKER_BYTES: Final = 6 * 2 * _RESERVE_BYTES


@dataclass(slots=True)
class DiskSpace:
    """What to do if a worker's files cannot grow: fail while space is ``required``, else count what is dropped."""

    required: bool = True
    dropped_label_sets: int = 0


def use_files(index: int, folder: Path) -> DiskSpace:
    """Store the metrics that are created next in files of ``folder``, named by the worker's ``index``.

    Named by the process instead, files would pile up as workers are replaced, and counters would restart.
    """
    space = DiskSpace()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.MmapedDict = partial(_MetricsFile, space)  # type: ignore[assignment,attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: index)  # type: ignore[no-untyped-call]
    return space


def reset_live_gauges(index: int, folder: Path, space: DiskSpace) -> None:
    """Set the gauges of a worker that does not run to 0. Raises `StartError` if there is no space for its files."""
    for path in folder.glob(f"gauge_live*_{index}.db"):
        file = _MetricsFile(space, str(path))
        for key in file.keys():  # noqa: SIM118 - not a dict
            file.write_value(key, 0.0, 0.0)
        file.close()  # type: ignore[no-untyped-call]


def close_files() -> None:
    """Close the files of this process."""
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


class _MetricsFile(MmapedDict):
    """prometheus_client's file of values, with disk space allocated before it is written to.

    The original file is sparse: on a full disk, writing to its mapping would end the process with SIGBUS. Here
    `_RESERVE_BYTES` more than is used are always allocated, enough for what comes after the start: statuses and routes.
    """

    def __init__(self, space: DiskSpace, filename: str) -> None:
        self._space = space
        self._allocated_bytes = 0
        path = Path(filename)
        new = path if path.exists() else path.with_suffix(".new")  # other processes' scrapes read every .db file
        try:
            with new.open("ab") as file:
                self._allocate(file.fileno(), 2 * _RESERVE_BYTES)
            new.rename(path)
        except OSError as error:
            raise _no_space(path, 2 * _RESERVE_BYTES, error) from error
        super().__init__(filename)  # type: ignore[no-untyped-call]
        self._make_room(0)

    def keys(self) -> Sequence[str]:
        """The series in the file."""
        return [key for key, *_ in self.read_all_values()]  # type: ignore[no-untyped-call]

    def read_value(self, key: str) -> tuple[float, float]:
        """The value and its timestamp. A new series starts at 0, and stays there if there is no space for it."""
        if key not in self._positions and not self._make_room(len(key.encode()) + _ENTRY_BYTES):
            self._space.dropped_label_sets += 1
            return 0.0, 0.0
        return super().read_value(key)  # type: ignore[no-any-return,no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set the value of a series, if it is in the file."""
        if key in self._positions:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _make_room(self, size_bytes: int) -> bool:
        end_bytes: int = self._used + size_bytes
        if end_bytes + _RESERVE_BYTES > self._allocated_bytes:
            needed_bytes = -(-(end_bytes + _RESERVE_BYTES) // _RESERVE_BYTES) * _RESERVE_BYTES
            try:
                self._allocate(self._f.fileno(), needed_bytes)
            except OSError as error:
                if self._space.required:
                    raise _no_space(Path(self._fname), needed_bytes, error) from error
        return end_bytes <= self._allocated_bytes

    def _allocate(self, descriptor: int, size_bytes: int) -> None:
        os.posix_fallocate(descriptor, 0, size_bytes)
        self._allocated_bytes = size_bytes


def _no_space(path: Path, needed_bytes: int, error: OSError) -> StartError:
    return StartError(
        f"no space for the workers' metrics: {path} needs {needed_bytes:,} bytes, and each worker {_WORKER_BYTES:,} or "
        f"more: {error.strerror}; free some, or set TMPDIR to a folder with space, such as a memory volume"
    )
