"""Load a table into memory, or look at some of its rows if it is to be streamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from training.data.dataset import Dataset
from training.data.kind import Track
from training.data.tables import reader, table_file
from training.data.tables.files.content import Content
from training.data.tables.options import TableOptions
from training.data.tables.reader import TableFile
from training.data.tables.streams import streaming as choices
from training.data.tables.streams.collecting import Collector
from training.data.tables.streams.parquet_files import BLOCK_ROWS, ParquetFiles, is_parquet
from training.data.tables.streams.parts import Parts
from training.data.tables.streams.streaming import Streaming
from training.errors import OptionError

LOOK_ROWS: Final = 200_000
_FEW_PIECES: Final = 16  # of which the first rows are not enough
_LOOKED_AT: Final = 64
_HELD_OUT: Final = 0.9  # of the rows that are kept of a part: how many a hash chooses varies


def load(path: Path, options: TableOptions, streaming: Streaming, track: Track) -> Dataset:
    """Load the table at ``path``, or the data set of a first look with `Dataset.collect` if it is to be streamed.

    Raises `DataError`, and `OptionError` if ``options`` do not fit.
    """
    if not path.is_dir() and not is_parquet(path):
        if streaming.mode == "always":
            raise OptionError(f"--stream is 'always', and {path} is no Parquet file; convert it, or leave --stream out")
        choices.check_size(path, streaming)
        return table_file.load(path, options)
    files = ParquetFiles(path)
    options.check_names(path, files.names)
    used = len([name for name in files.names if name not in options.drop])
    why = streaming.reason(files.rows, used)
    if why is None:
        return _in_memory(path, files, options)
    choices.check(options, why)
    return _looked_at(files, options, streaming, track, why)


def _in_memory(path: Path, files: ParquetFiles, options: TableOptions) -> Dataset:
    if path.is_file():
        return table_file.load(path, options)
    table = pa.concat_tables(_all_rows(files))
    return table_file.dataset_of(path, _table_of(files, table, files.digest()), options)


def _table_of(files: ParquetFiles, table: pa.Table, digest: str) -> TableFile:
    content = Content(files.names, tuple(table.columns), (True,) * len(files.names))
    return reader.of_content(files.path, content, digest)


def _looked_at(files: ParquetFiles, options: TableOptions, streaming: Streaming, track: Track, why: str) -> Dataset:
    table = pa.concat_tables(_some_rows(files))
    dividing = [name for name in (options.split, options.group) if name]
    plain = replace(options, split=None, group=None, drop=tuple(dict.fromkeys([*options.drop, *dividing])))
    sampled = table.num_rows < files.rows
    look = table_file.dataset_of(files.path, _table_of(files, table, ""), plain, sampled=sampled)
    notes = [f"{files.path.name} is streamed: {why}"]
    if sampled:
        notes.append(
            f"what the columns are was found on {table.num_rows:,} rows from all over the table, not on all "
            f"{files.rows:,}; so are the notes that follow"
        )
    return replace(
        look,
        notes=(*notes, *look.notes),
        collect=partial(_collected, look, (*notes, *look.notes), files, options, streaming, track),
    )


def _some_rows(files: ParquetFiles) -> Iterator[pa.Table]:
    """Up to about `LOOK_ROWS` rows from evenly spaced pieces of the table."""
    pieces = files.pieces[:: -(-len(files.pieces) // _LOOKED_AT)]
    if files.rows <= LOOK_ROWS:
        yield from _all_rows(files)
    elif len(pieces) >= _FEW_PIECES:
        for piece in pieces:
            yield from islice(files.blocks(piece, files.names, LOOK_ROWS // len(pieces)), 1)
    else:
        rows = max(LOOK_ROWS * BLOCK_ROWS // files.rows, 1)
        for piece in pieces:
            yield from (block.slice(0, rows) for block in files.blocks(piece, files.names))


def _all_rows(files: ParquetFiles) -> Iterator[pa.Table]:
    return (block for piece in files.pieces for block in files.blocks(piece, files.names))


def _collected(
    look: Dataset,
    notes: tuple[str, ...],
    files: ParquetFiles,
    options: TableOptions,
    streaming: Streaming,
    track: Track,
    validation: float,
    test: float,
) -> Dataset:
    """The data set of all rows. No more rows are held out than are kept in memory: more would tell no more.

    The share ``test`` is of all rows, and ``validation`` of the rest.
    """
    room = streaming.room(len(look.columns))
    most = _HELD_OUT * room.kept_rows / files.rows
    test = min(test, most)
    parts = Parts(test, min(validation * (1 - test), most), options.split, options.group)
    collector = Collector(look, files, parts, options.numeric, room)
    with track(files.pieces, len(files.pieces)) as pieces:
        collector.read(pieces)
    found = collector.dataset(inferred=options.task == "auto")
    return replace(found, notes=notes, source={**look.source, "sha256": files.digest()})
