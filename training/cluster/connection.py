"""Start a cluster on this machine, or connect to one, and leave it again."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import ray

from training.cluster.choice import LOCAL, Cluster
from training.errors import ClusterError, first_line

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LOOPBACK: Final = "127.0.0.1"
_CONNECT_S: Final = 10.0
_STORE_BYTES: Final = 200 * 2**20
# Beside the workers: with fewer, tasks that read data wait for ever.
_MORE_CPUS: Final = 2


@contextmanager
def connected(cluster: Cluster, shared_bytes: int = 0) -> Iterator[Path]:
    """Connect to the ``cluster`` and yield a folder for temporary files, which is deleted at the end.

    One on this machine is started, with room for ``shared_bytes`` of data, listens on the loopback interface alone, and
    ends with the context or the process. Raises `ClusterError`.
    """
    with _folder() as folder, _quiet(cluster):
        try:
            if cluster.address == LOCAL:
                _set_token()
            else:
                _check_reachable(cluster.address)
            with _handlers_kept():
                ray.init(**_options(cluster, folder, shared_bytes))
        except Exception as error:
            ray.shutdown()
            raise ClusterError(
                f"no Ray cluster can be used by --ray {cluster.address}: {first_line(error).rstrip('.')}; --ray-logs "
                "shows more, and a cluster with a token needs RAY_AUTH_MODE=token"
            ) from error
        try:
            yield Path(folder)
        finally:
            ray.shutdown()


def _folder() -> tempfile.TemporaryDirectory[str]:
    """A folder with a short path: Ray adds 70 characters to it, and a socket's path has at most 103."""
    short = "/tmp"  # noqa: S108 - the new folder is ours alone # nosec B108
    place = short if os.access(short, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="mlp-ray-", dir=place, ignore_cleanup_errors=True)


@contextmanager
def _quiet(cluster: Cluster) -> Iterator[None]:
    """Print no warnings of Ray, unless its logs are asked for."""
    with warnings.catch_warnings():
        if not cluster.logs:
            warnings.filterwarnings("ignore", module=r"ray\b")
        yield


def _set_token() -> None:
    """Give a cluster that is started here a token of its own; Ray would write one to the user's home folder."""
    if not os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _check_reachable(address: str) -> None:
    """Raise `OSError` if nothing listens at ``address``, which Ray would try for minutes."""
    host, separator, port = address.rpartition(":")
    if separator:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()


def _options(cluster: Cluster, folder: str, shared_bytes: int) -> dict[str, Any]:
    level = logging.INFO if cluster.logs else logging.ERROR
    options: dict[str, Any] = {"log_to_driver": cluster.logs, "logging_level": level}
    if cluster.address != LOCAL:
        return options | {"address": cluster.address}
    return options | {
        "address": LOCAL,
        "num_cpus": cluster.workers + _MORE_CPUS,  # logical ones
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES + 2 * shared_bytes,
        "_node_ip_address": _LOOPBACK,
        "_temp_dir": folder,
        "_system_config": {"prestart_worker_first_driver": False},  # processes that no worker would use
    }


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Keep the handlers of signals, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
