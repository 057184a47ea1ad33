"""File systems of URLs, such as object stores, through fsspec: the extra ``remote``."""

from __future__ import annotations

import re
from typing import Any, Final

from service.models.command import CommandError

_INSTALL: Final = "install mlp-serving[remote]"
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s]*@")
_QUERY: Final = re.compile(r"\?\S*")
# What stores tell of a file's content, in its `info`; the first that is there is used.
_STAMPS: Final = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "updated", "created")


def open_url(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it without a slash at its end.

    Raises `CommandError` without fsspec, or the package of the scheme.
    """
    shown = without_credentials(url)
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

        system, path = url_to_fs(url)
    except ImportError as error:
        raise CommandError(f"{shown} needs a package that is not installed ({error!s:.200}); {_INSTALL}") from None
    except Exception as error:  # noqa: BLE001 - each store has its own errors
        raise CommandError(
            f"{shown} is no place that fsspec knows ({reason(error):.200}); write s3://bucket/name"
        ) from None
    return system, path.rstrip("/")


def stamp(info: dict[str, Any]) -> str:
    """What changes if the content of a file does: its size, and what the store tells of its content."""
    version = next((f"{info[name]}" for name in _STAMPS if info.get(name)), "unknown time")
    return f"{info.get('size')} bytes of {version}"


def reason(error: Exception) -> str:
    """The first line of a store's error, without credentials. Its cause could show them, so raise from None."""
    return without_credentials(f"{type(error).__name__}: {error}".partition("\n")[0])


def without_credentials(text: str) -> str:
    """``text`` without the user and password of URLs, and without their queries, which may be signed."""
    return _QUERY.sub("", _CREDENTIALS.sub("", text))
