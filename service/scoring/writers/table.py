"""The one table of output formats, by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from service.models.command import CommandError
from service.scoring.places import Place, format_suffix
from service.scoring.writers import delimited, json_lines, parquet
from service.scoring.writers.compressed import COMPRESS
from service.scoring.writers.delimited import DelimitedWriter
from service.scoring.writers.json_lines import JsonLinesWriter
from service.scoring.writers.parquet import ParquetWriter
from service.scoring.writers.writer import Writer

# Makes the writer of a path, given the schema of the rows.
MakeWriter = Callable[[Path, Any], Writer]

_KNOWN: Final = (*parquet.SUFFIXES, *delimited.SUFFIXES, *json_lines.SUFFIXES)


def format_of(place: Place) -> str:
    """The suffix that says the format of an output, compressed or not. Raises `CommandError` for an unknown one."""
    suffix, is_compressed = format_suffix(place, COMPRESS)
    if suffix not in _KNOWN or (is_compressed and suffix in parquet.SUFFIXES):
        raise CommandError(
            f"the format of the output {place.shown} is not known; expected a name with one of {', '.join(_KNOWN)}, "
            f"and {' or '.join(COMPRESS)} after a text format to compress it"
        )
    return suffix


def maker(place: Place, schema: Any) -> MakeWriter:
    """What writes rows of ``schema`` to ``place``. Raises `CommandError` if the format cannot hold them."""
    suffix = format_of(place)
    if suffix in parquet.SUFFIXES:
        parquet.check(schema)
        return ParquetWriter
    compress = COMPRESS.get(place.below.suffix.lower(), bytes)
    if suffix in json_lines.SUFFIXES:
        return lambda path, rows: JsonLinesWriter(path, rows, compress)
    unfit = [field for field in schema if not delimited.is_text(field.type)]
    if unfit:
        listed = ", ".join(f"{field.name!r:.60} ({field.type!s:.60})" for field in unfit[:5])
        raise CommandError(f"CSV cannot hold the columns {listed}; leave them out with --keep, or write Parquet")
    return lambda path, rows: DelimitedWriter(path, rows, compress, "\t" if suffix == ".tsv" else ",")
