"""What a user names: a folder of models on this machine, or a URL of one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.models.command import CommandError
from service.models.file_systems import open_url
from service.models.pulling.local_source import LocalSource
from service.models.pulling.source import Source
from service.models.pulling.url_source import UrlSource

_SCHEME: Final = "://"
_LOCAL: Final = ("file://", "local://")


def locate(text: str, models: Path) -> Source:
    """The source that ``text`` names: a folder, or a URL such as ``s3://bucket/models``.

    Raises `CommandError` if it is no place that is known, or the folder ``models`` itself.
    """
    for scheme in _LOCAL:
        text = text.removeprefix(scheme)
    if _SCHEME not in text:
        if Path(text).resolve() == models.resolve():
            raise CommandError(f"{text!r} is the models folder itself; give another one with --models")
        return LocalSource(Path(text))
    system, path = open_url(text)
    return UrlSource(system, text.partition(_SCHEME)[0], path)
