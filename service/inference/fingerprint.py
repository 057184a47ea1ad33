"""Tells whether the files of a version may have changed, without reading them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from service import artifact

Fingerprint = tuple[tuple[int, ...], ...]

_FILES: Final = (artifact.MANIFEST, *artifact.REQUIRED, artifact.MODEL_INT8)
# File systems round times to as much as two seconds. A file that changed that recently may change again unnoticed.
_SETTLED_S: Final = 2.0


def of(version_dir: Path, now_s: Callable[[], float]) -> tuple[Fingerprint, bool]:
    """What the file system tells of each file that the service reads, links followed; and whether that is ``settled``.

    The change time is part of it, because permissions change nothing else, and a copy may keep the modification time.
    ``now_s`` gives seconds since 1970.
    """
    found: list[tuple[int, ...]] = []
    settled, now = True, now_s()
    for name in _FILES:
        try:
            status = os.stat(version_dir / name)  # noqa: PTH116 - a fifth of the time of Path.stat, for each version
        except OSError as error:
            found.append((error.errno or 0,))
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        changed_s = max(status.st_mtime_ns, status.st_ctime_ns) * 1e-9
        settled &= abs(now - changed_s) > _SETTLED_S
    return tuple(found), settled
