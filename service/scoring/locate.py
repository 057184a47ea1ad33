"""What a user names: a path on this machine, or a URL."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.scoring import remote
from service.scoring.local_files import LocalPlace
from service.scoring.places import Place

_SCHEME: Final = "://"
_LOCAL: Final = "file://"


def place(text: str) -> Place:
    """The place that ``text`` names: a path, or a URL such as ``s3://bucket/rows.parquet``. Raises `CommandError`."""
    path = text.removeprefix(_LOCAL)
    return remote.place(path) if _SCHEME in path else LocalPlace(Path(path))
