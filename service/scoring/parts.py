"""Scored rows in parts beside the output, with which a later run goes on: ``--resume``.

The folder ``.OUT.parts`` has Arrow files in the order of the rows, and ``state.json``: what is scored by what, and how
much of it is in the parts. It is replaced after each part, so a kill costs at most the part that was not whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import ipc

from service.artifact_writer import sync
from service.models.command import CommandError
from service.scoring.readers.source import Position
from service.scoring.tally import Tally
from service.scoring.whole_file import cannot_write

_STATE: Final = "state.json"
_LOCK: Final = "lock"
_PART_BYTES: Final = 2**26
_PART_S: Final = 15.0


class Parts:
    """The folder of parts of ``output``, for a run with this ``identity``: what decides what its rows are, by name.

    ``position`` and ``tally`` are how far an earlier run came. Raises `CommandError` if there are parts of another run,
    or another process is writing them.
    """

    def __init__(self, output: Path, identity: Mapping[str, Any], clock: Callable[[], float]) -> None:
        self._folder = output.absolute().with_name(f".{output.name}.parts")
        self._identity = json.loads(json.dumps(identity))
        self._clock = clock
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._count = 0
        self.position, self.tally = Position(), Tally()
        self._written_s = clock()
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock = self._locked()
        except OSError as error:
            raise cannot_write(str(self._folder), error) from error
        try:
            self._read_state()
        except BaseException:
            self._lock.close()
            raise

    def add(self, batch: Any, position: Position, tally: Tally) -> None:
        """Add rows; with them, so much of the input is done. Raises `CommandError`."""
        self._waiting.append(batch)
        self._waiting_bytes += batch.nbytes
        self.position, self.tally = position, tally
        if self._waiting_bytes >= _PART_BYTES or self._clock() - self._written_s >= _PART_S:
            self.flush()

    def flush(self) -> None:
        """Write a part of what waits. Raises `CommandError`."""
        if not self._waiting:
            return
        try:
            self._write(self._part(self._count), self._write_batches)
            self._count += 1
            state = {
                "identity": self._identity,
                "parts": self._count,
                "position": asdict(self.position),
                "tally": self.tally.to_record(),
            }
            self._write(self._folder / _STATE, lambda path: path.write_text(json.dumps(state, indent=1)))
        except OSError as error:
            raise cannot_write(str(self._folder), error) from error
        self._waiting, self._waiting_bytes = [], 0
        self._written_s = self._clock()

    def batches(self) -> Iterator[Any]:
        """The rows of all parts, in order."""
        for number in range(self._count):
            with pa.memory_map(str(self._part(number))) as file:
                reader = ipc.open_file(file)
                for index in range(reader.num_record_batches):
                    yield reader.get_batch(index)

    def forget(self) -> None:
        """Let `close` delete all parts."""
        self._count = 0

    def close(self) -> None:
        """Let another process go on. A folder without a part is deleted."""
        if not self._count:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}.arrow"

    def _write_batches(self, path: Path) -> None:
        with ipc.new_file(str(path), self._waiting[0].schema, options=ipc.IpcWriteOptions(compression="lz4")) as file:
            for batch in self._waiting:
                file.write_batch(batch)

    def _write(self, path: Path, write: Callable[[Path], object]) -> None:
        staging = path.with_suffix(".tmp")
        try:
            write(staging)
            with staging.open("rb") as file:
                os.fsync(file.fileno())
            staging.replace(path)
        finally:
            staging.unlink(missing_ok=True)
        sync(self._folder)

    def _locked(self) -> IO[str]:
        lock = (self._folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            detail = f"another process is writing {self._folder}"
            raise CommandError(f"{detail}; wait for it, or give another output") from error
        return lock

    def _read_state(self) -> None:
        try:
            state = json.loads((self._folder / _STATE).read_text())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise CommandError(f"{self._folder / _STATE} is damaged ({error}); delete {self._folder}") from error
        self._check(state["identity"])
        self._count = state["parts"]
        self.position, self.tally = Position(**state["position"]), Tally.of(state["tally"])

    def _check(self, found: Mapping[str, Any]) -> None:
        for name, value in self._identity.items():
            if found.get(name) != value:
                raise CommandError(
                    f"the parts in {self._folder} are of another {name}: {_shown(found.get(name))}, and now it is "
                    f"{_shown(value)}; run it as before, or delete the folder to begin anew"
                )


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
