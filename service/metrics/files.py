"""The files in which each worker keeps its metrics, so that any worker can answer a scrape for all.

https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

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


def use_files(index: int, folder: Path) -> OpenFiles:
    """Store the metrics that are created next in files of ``folder``, named by the worker's ``index``.

    Named by the process instead, files would pile up as workers are replaced, and counters would restart.
    """
    opened = OpenFiles(index, folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = partial(_FileValue, opened)
    return opened


def reset_live_gauges(index: int, folder: Path, space: DiskSpace) -> None:
    """Set the gauges of a worker that does not run to 0. Raises `StartError` if there is no space for its files."""
    for path in folder.glob(f"gauge_live*_{index}.db"):
        file = _MetricsFile(space, str(path))
        for key in file.keys():  # noqa: SIM118 - not a dict
            file.write_value(key, 0.0, 0.0)
        file.close()  # type: ignore[no-untyped-call]


class OpenFiles:
    """The files of one worker, one for each type of metric, opened when the first metric of that type is made."""

    def __init__(self, index: int, folder: Path) -> None:
        self.space = DiskSpace()
        self.lock = Lock()
        self._index = index
        self._folder = folder
        self._files: dict[str, _MetricsFile] = {}

    def of(self, kind: str) -> _MetricsFile:
        """The file of metrics of this type."""
        if kind not in self._files:
            self._files[kind] = _MetricsFile(self.space, str(self._folder / f"{kind}_{self._index}.db"))
        return self._files[kind]

    def labels(self) -> list[Mapping[str, str]]:
        """The labels of all series, also of those that an earlier process with this index left."""
        with self.lock:
            return [_labels(key) for file in self._files.values() for key in file.keys()]  # noqa: SIM118 - not a dict

    def forget(self, unwanted: Callable[[Mapping[str, str]], bool]) -> None:
        """Remove all series whose labels are ``unwanted``."""
        for file in self._files.values():
            with self.lock:
                keys = {key for key in file.keys() if unwanted(_labels(key))}  # noqa: SIM118 - not a dict
                if keys:
                    file.forget(keys)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()  # type: ignore[no-untyped-call]


def _labels(key: str) -> Mapping[str, str]:
    labels: Mapping[str, str] = json.loads(key)[2]
    return labels


class _FileValue:
    """A value in a file, as prometheus_client's own class has it, which keeps every value that ever was."""

    _multiprocess = True

    def __init__(
        self,
        files: OpenFiles,
        kind: str,
        metric: str,
        name: str,
        label_names: Sequence[str],
        label_values: Sequence[str],
        meaning: str,
        multiprocess_mode: str = "",
        **_others: object,
    ) -> None:
        self._lock = files.lock
        with self._lock:
            self._file = files.of(f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind)
            self._key = mmap_key(metric, name, list(label_names), list(label_values), meaning)
            self._value, _ = self._file.read_value(self._key)

    def inc(self, amount: float) -> None:
        """Add to the value."""
        with self._lock:
            self._value += amount
            self._file.write_value(self._key, self._value, 0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the value."""
        with self._lock:
            self._value = value
            self._file.write_value(self._key, value, timestamp or 0.0)

    def get(self) -> float:
        """The value."""
        return self._value

    def set_exemplar(self, _exemplar: object) -> None:
        """Files have no exemplars."""

    def get_exemplar(self) -> None:
        """Files have no exemplars."""


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

    def forget(self, keys: Collection[str]) -> None:
        """Remove series: the others are written to a new file, which every later scrape reads instead of this one."""
        kept = [entry for entry in self.read_all_values() if entry[0] not in keys]  # type: ignore[no-untyped-call]
        new = Path(self._fname).with_suffix(".new")
        new.unlink(missing_ok=True)
        try:
            with new.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, self._allocated_bytes)
        except OSError:  # the disk is full; the next call tries again
            new.unlink(missing_ok=True)
            return
        values_to_keep = MmapedDict(str(new))  # type: ignore[no-untyped-call]
        for key, value, timestamp in kept:
            values_to_keep.write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        values_to_keep.close()  # type: ignore[no-untyped-call]
        self.close()  # type: ignore[no-untyped-call]
        new.rename(self._fname)
        super().__init__(self._fname)  # type: ignore[no-untyped-call]

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
