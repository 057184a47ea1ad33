"""A Unix socket in the place of a TCP port: its path, who may use it, and what an earlier server left there."""

from __future__ import annotations

import contextlib
import socket
import stat
from pathlib import Path
from typing import Final

from service.errors import StartError

_OPTION: Final = "--uds"


class UnixSocket:
    """A bound socket and the file that clients find it by."""

    def __init__(self, bound: socket.socket, path: Path) -> None:
        self.socket = bound
        self._path = path
        self._inode: tuple[int, int] | None = _inode(path)

    def check(self) -> None:
        """Raise `StartError` if another server has taken the path since."""
        try:
            if _inode(self._path) == self._inode:
                return
        except OSError:
            pass
        raise StartError(f"{_OPTION} {self._path} was taken by another server meanwhile; choose another path")

    def remove(self) -> None:
        """Remove the file, unless another server has put its own there."""
        with contextlib.suppress(OSError):
            if _inode(self._path) == self._inode:
                self._path.unlink()
        self._inode = None  # its number may be another file's from now on


def bind(path: Path, mode: int) -> UnixSocket:
    """Bind ``path``, for users as ``mode`` says. Raises `StartError`.

    A socket that nobody listens on, as a killed server leaves it, is replaced. Nobody can connect before it listens.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_abandoned(path)
        bound.bind(str(path))
        path.chmod(mode)
        return UnixSocket(bound, path)
    except OSError as error:
        bound.close()
        reason = error.strerror or error  # a path of more than 107 bytes has no number
        raise StartError(f"cannot listen on {_OPTION} {path}: {reason}; choose another path") from error
    except StartError:
        bound.close()
        raise


def _remove_abandoned(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise StartError(f"{_OPTION} {path} is there already and is no socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise StartError(f"{_OPTION} {path} is the socket of a server that runs; stop it, or choose another path")


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
