"""Whether a table is streamed or loaded into memory: as the user says, or by the memory that it would take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.data.kind import DataOption
from training.data.tables.options import TableOptions
from training.data.tables.streams import memory
from training.data.tables.streams.collecting import Room
from training.errors import DataError, OptionError

MODES: Final = ("auto", "always", "never")
_DEFAULT_BYTES: Final = 4 * 2**30  # where the system does not say
_MIN_MEMORY_MB: Final = 100
_KEPT_SHARE: Final = 0.25  # of the memory, for the rows of each part that are kept
_BUFFER_SHARE: Final = 0.1
_COPIES: Final = 3  # of a row: as it was read, prepared, and while arrays are joined
_VALUE_BYTES: Final = 4
_PEAK_OF_FILE: Final = 1.5  # times the size of a CSV file, whose loading was measured at 1.0
_KEPT_ROWS: Final = (10_000, 500_000)  # at least and at most, of each of three parts
_BUFFER_ROWS: Final = (10_000, 500_000)


@dataclass(frozen=True, slots=True)
class Streaming:
    """The choices of the user: ``mode`` is one of `MODES`, ``memory_mb`` the memory that a table may take."""

    mode: str = MODES[0]
    memory_mb: int | None = None

    def __post_init__(self) -> None:
        if self.memory_mb is not None and self.memory_mb < _MIN_MEMORY_MB:
            raise OptionError(f"--memory-mb is {self.memory_mb}, expected an integer of at least {_MIN_MEMORY_MB}")

    @property
    def budget_bytes(self) -> int:
        """The memory that a table may take."""
        if self.memory_mb is not None:
            return self.memory_mb * 10**6
        return memory.budget_bytes() or _DEFAULT_BYTES

    def reason(self, rows: int, columns: int) -> str | None:
        """Why a table is streamed, as a clause; None if it is to be loaded into memory."""
        if self.mode != "auto":
            return "--stream always says so" if self.mode == "always" else None
        needed, budget = memory.needed_bytes(rows, columns), self.budget_bytes
        if needed <= budget:
            return None
        limit = "--memory-mb allows" if self.memory_mb is not None else "it may take"
        return f"in memory it would take about {memory.shown(needed)}, and {limit} {memory.shown(budget)}"

    def room(self, columns: int) -> Room:
        """What fits of rows with so many ``columns``."""
        row_bytes = columns * _VALUE_BYTES * _COPIES
        kept, buffered = (
            min(max(int(self.budget_bytes * share / row_bytes / parts), low), high)
            for share, parts, (low, high) in ((_KEPT_SHARE, 3, _KEPT_ROWS), (_BUFFER_SHARE, 1, _BUFFER_ROWS))
        )
        return Room(kept, buffered)


def check(options: TableOptions, why: str) -> None:
    """Raise `OptionError` with all ``options`` that need the whole table, which is streamed, and ``why``."""
    given = {
        "--time": options.time,
        "--weight": options.weight,
        "--test": options.test,
        "--validation": options.validation,
        "--split and --group": options.split and options.group,
    }
    flags = [flag for flag, value in given.items() if value]
    if flags:
        raise OptionError(
            f"{', '.join(flags)} cannot be used with a table that is streamed ({why}); divide the rows by --split or "
            "--group, or load the table with --stream never"
        )


def check_size(path: Path, streaming: Streaming) -> None:
    """Raise `DataError` if the file at ``path``, which cannot be streamed, would not fit in memory."""
    size = path.stat().st_size if path.is_file() else 0
    if streaming.mode == "auto" and size * _PEAK_OF_FILE > streaming.budget_bytes:
        raise DataError(
            f"{path} has {memory.shown(size)} and may not fit in memory, of which it may take "
            f"{memory.shown(streaming.budget_bytes)}; convert it to Parquet, which can be streamed, or load it all the "
            "same with --stream never"
        )


STREAM_OPTIONS: Final = (
    DataOption(
        "stream",
        "--stream",
        "read Parquet files in each epoch instead of loading them; auto: if they would not fit in memory",
        default=MODES[0],
        choices=MODES,
    ),
    DataOption(
        "memory_mb",
        "--memory-mb",
        "memory that the table may take, in megabytes (default: 70 %% of what is free, also by a container's limit)",
        type=int,
        metavar="N",
    ),
)
