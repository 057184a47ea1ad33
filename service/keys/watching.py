"""Reads the file of keys again and again: a change counts within a second or two, without a restart.

The file's content is compared, not its date, so a Kubernetes Secret, which is swapped by its links, is seen like any
other change. A file that cannot be used changes nothing, and is reported once.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from service.keys import key_file
from service.keys.access import Access
from service.keys.buckets import Buckets
from service.keys.key_file import Key, KeyFileError

_log = logging.getLogger(__name__)

_INTERVAL_S: Final = 1.0


class WatchedKeys:
    """The `access` that the file at ``path`` gives. Raises `StartError` if the file cannot be used at the start."""

    def __init__(self, path: Path, buckets: Buckets, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._path = path
        self._sleep = sleep
        self._content = key_file.read(path)
        self._keys: Sequence[Key] = key_file.parse(self._content, path)
        self._fault = ""
        self.access = Access(self._keys, buckets)
        if path.stat().st_mode & stat.S_IWOTH:
            _log.warning("everybody on this machine may write to %s, and so let themselves in; chmod o-w", path)
        _log.info("%d key(s) in %s", len(self._keys), path)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self._sleep(_INTERVAL_S)
            await self.look()

    async def look(self) -> None:
        """Look once."""
        try:
            content = await asyncio.to_thread(key_file.read, self._path)
            if content == self._content and not self._fault:
                return
            keys = key_file.parse(content, self._path)
        except KeyFileError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                _log.error("%s; the previous %d key(s) stay valid", error, len(self._keys))
            return
        if keys != self._keys:
            self.access.replace(keys)
        if keys != self._keys or self._fault:
            _log.info("%d key(s) in %s%s", len(keys), self._path, _changes(self._keys, keys))
        self._content, self._keys, self._fault = content, keys, ""


def _changes(before: Sequence[Key], after: Sequence[Key]) -> str:
    """The names of the keys that came, went or changed."""
    old, new = ({key.name: key for key in keys} for keys in (before, after))
    changed = {
        "new": [name for name in new if name not in old],
        "withdrawn": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and old[name] != new[name]],
    }
    return "".join(f"; {what}: {', '.join(names)}" for what, names in changed.items() if names)
