"""The one table of formats: which reader an input gets, by its suffix or what its folder has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from service.models.command import CommandError
from service.scoring.places import Place, format_suffix
from service.scoring.readers import arrays, arrow_ipc, delimited, json_lines, parquet, picture_folder
from service.scoring.readers.pieces import COMPRESSED
from service.scoring.readers.source import Source, Wanted

Reader = Callable[[Place, Wanted], Source]

_READERS: Final[dict[tuple[str, ...], Reader]] = {
    parquet.SUFFIXES: lambda place, wanted: parquet.ParquetFiles([place], wanted),
    arrow_ipc.SUFFIXES: arrow_ipc.ArrowFile,
    delimited.SUFFIXES: delimited.DelimitedFile,
    json_lines.SUFFIXES: json_lines.JsonLines,
    arrays.SUFFIXES: arrays.ArrayFile,
}
_TEXTS: Final = (*delimited.SUFFIXES, *json_lines.SUFFIXES)
_KNOWN: Final = ", ".join(suffix for suffixes in _READERS for suffix in suffixes)


def files_of(place: Place) -> list[Place]:
    """The files that are read: the place itself, or those with rows in a folder. Raises `CommandError`."""
    if not place.exists():
        raise CommandError(f"{place.shown} does not exist; give a file, or a folder of Parquet files or pictures")
    if not place.is_folder():
        return [place]
    files = place.files()
    for suffixes in (parquet.SUFFIXES, picture_folder.SUFFIXES):
        if found := [file for file in files if file.below.suffix.lower() in suffixes]:
            return found
    raise CommandError(f"{place.shown} is a folder without Parquet files and pictures; give one of its files by name")


def source_of(place: Place, files: list[Place], wanted: Wanted) -> Source:
    """The reader of ``files``, those of ``place``. Raises `CommandError`, and `InvalidInput` for the columns."""
    if place.is_folder():
        if files[0].below.suffix.lower() in parquet.SUFFIXES:
            return parquet.ParquetFiles(files, wanted)
        return picture_folder.PictureFolder(place, files, wanted)
    suffix, is_compressed = format_suffix(place, COMPRESSED)
    for known, reader in _READERS.items():
        if suffix in known and (suffix in _TEXTS or not is_compressed):
            return reader(place, wanted)
    raise CommandError(f"{place.shown} is of no known format; expected a name with one of {_KNOWN}")
