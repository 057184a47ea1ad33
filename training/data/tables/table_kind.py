"""The kind of data that is a table: a file, or a folder of Parquet files, in memory or streamed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from training.data.dataset import Dataset
from training.data.kind import DataKind, Track
from training.data.tables import reader
from training.data.tables.options import OPTIONS, TableOptions
from training.data.tables.streams import loading, parquet_files
from training.data.tables.streams.streaming import STREAM_OPTIONS, Streaming

_STREAM: Final = tuple(option.name for option in STREAM_OPTIONS)


def _load(path: str, options: Mapping[str, Any], track: Track) -> Dataset:
    table = TableOptions(**{name: value for name, value in options.items() if name not in _STREAM})
    return loading.load(Path(path), table, Streaming(*(options[name] for name in _STREAM)), track)


KIND: Final = DataKind(
    description=f"a table ({', '.join(reader.INNER)}, also compressed, or a folder of .parquet)",
    load=_load,
    suffixes=reader.SUFFIXES,
    folders=parquet_files.holds_parquet,
    options=(*OPTIONS, *STREAM_OPTIONS),
    options_help="column types are inferred from the values; override them here",
)
