"""One run: chunks of the source through the workers to the output, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from service.models.command import CommandError
from service.scoring.faults import numbered
from service.scoring.ordered import ordered
from service.scoring.output import FAIL
from service.scoring.parts import Parts
from service.scoring.progress import Progress
from service.scoring.readers.source import Position, Source
from service.scoring.scorer import Scored, Scorer
from service.scoring.stop import Stop
from service.scoring.tally import Tally
from service.scoring.writers.writer import Writer

T = TypeVar("T")
_WAY_OUT: Final = "nothing was written; --on-error skip leaves such rows out, and null keeps them without an answer"


class BadRow(CommandError):
    """A row does not fit the model, and ``--on-error`` is ``fail``."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is scored, how, in how many threads; and what bad rows do.

    ``on_cluster`` yields the scored chunks after a position, if a cluster scores them.
    """

    source: Source
    scorer: Scorer
    on_cluster: Callable[[Position], Generator[Scored, None, None]] | None
    schema: Any
    make_writer: Callable[[Path, Any], Writer]
    threads: int
    on_error: str
    progress: Progress
    stop: Stop

    def write(self, path: Path) -> Tally:
        """Score all rows into the file ``path``. Raises `CommandError`, `OSError` and `Stopped`."""
        tally, position = Tally(), Position()
        writer = self.make_writer(path, self.schema)

        def prepare(scored: Scored) -> tuple[Scored, Any]:
            return scored._replace(batch=None), writer.prepare(scored.batch)

        try:
            with closing(self._scored(position, prepare)) as results:
                for scored, prepared in results:
                    position = self._count(scored, position, tally)
                    writer.write(prepared)
        finally:
            writer.close()
        return tally

    def write_parts(self, parts: Parts) -> Tally:
        """Score the rows that ``parts`` do not have yet. Raises `CommandError` and `Stopped`."""
        tally, position = parts.tally, parts.position
        self.progress.skip(position.amount)
        try:
            with closing(self._scored(position, lambda scored: scored)) as results:
                for scored in results:
                    position = self._count(scored, position, tally)
                    parts.add(scored.batch, position, tally)
        except BadRow:
            raise
        except BaseException:  # what is scored is kept
            parts.flush()
            raise
        parts.flush()
        return tally

    def join(self, parts: Parts, path: Path) -> None:
        """Write the rows of all ``parts`` into the file ``path``. Raises `OSError` and `Stopped`."""
        writer = self.make_writer(path, self.schema)
        try:
            with closing(ordered(writer.prepare, parts.batches(), self.threads)) as results:
                for prepared in results:
                    self.stop.check()
                    writer.write(prepared)
        finally:
            writer.close()

    def _scored(self, position: Position, finish: Callable[[Scored], T]) -> Generator[T, None, None]:
        """Score the chunks after ``position``, and yield what ``finish`` makes of them."""
        if self.on_cluster is None:
            return ordered(lambda chunk: finish(self.scorer(chunk)), self.source.chunks(position), self.threads)
        return _finished(self.on_cluster(position), finish)

    def _count(self, scored: Scored, position: Position, tally: Tally) -> Position:
        """The position after a chunk, which is counted. Raises `BadRow` and `Stopped`."""
        self.stop.check()
        first = position.file_rows if position.file == scored.file else 0
        if scored.faults and self.on_error == FAIL:
            raise BadRow(f"{scored.file}: {numbered(scored.faults[0], first)} (rows are counted from 0); {_WAY_OUT}")
        tally.add(scored.rows, scored.faults, scored.file, first, scored.imputed)
        self.progress.add(scored.amount, scored.rows)
        return Position(
            position.chunks + 1,
            position.amount + scored.amount,
            position.rows + scored.rows,
            scored.file,
            first + scored.rows,
        )


def _finished(results: Generator[Scored, None, None], finish: Callable[[Scored], T]) -> Generator[T, None, None]:
    with closing(results):
        for scored in results:
            yield finish(scored)
