"""What a user names: a folder of models on this machine, or a URL of one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.models.file_systems import open_url
from service.models.pulling.local_source import LocalSource
from service.models.pulling.source import Source
from service.models.pulling.url_source import UrlSource

_SCHEME: Final = "://"
_LOCAL: Final = ("file://", "local://")


def locate(text: str) -> Source:
    """The source that ``text`` names: a folder, or a URL such as ``s3://bucket/models``. Raises `CommandError`."""
    for scheme in _LOCAL:
        if text.startswith(scheme):
            return LocalSource(Path(text.removeprefix(scheme)))
    if _SCHEME not in text:
        return LocalSource(Path(text))
    system, path = open_url(text)
    return UrlSource(system, text.partition(_SCHEME)[0], path)
