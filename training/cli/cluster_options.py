"""The options of training on several machines."""

from __future__ import annotations

import argparse
from typing import Any

from training.cluster.choice import DEFAULT_WORKERS, Cluster
from training.errors import OptionError


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``."""
    group = parser.add_argument_group(
        "several machines",
        "train on the workers of a Ray cluster, each with a part of every batch; needs the extra ray",
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="local: start a cluster on this machine; auto or HOST:PORT: use the one that this machine belongs to",
    )
    group.add_argument(
        "--ray-workers",
        type=int,
        metavar="N",
        help=f"workers, of one CPU each, or of one GPU if there are enough (default: {DEFAULT_WORKERS})",
    )
    group.add_argument(
        "--ray-storage",
        metavar="FOLDER|URI",
        help="where checkpoints are written, from which training resumes after a worker is lost; a cluster needs one "
        "that all its machines share",
    )
    group.add_argument("--ray-logs", action="store_true", help="print what Ray and its workers log")


def taken(given: dict[str, Any]) -> Cluster | None:
    """Take the options out of ``given`` and return the cluster; None without ``--ray``. Raises `OptionError`."""
    own = {
        field: given.pop(name)
        for field, name in (
            ("address", "ray"),
            ("workers", "ray_workers"),
            ("storage", "ray_storage"),
            ("logs", "ray_logs"),
        )
        if name in given
    }
    if own and "address" not in own:
        flags = ", ".join(f"--ray-{field}" for field in own)
        raise OptionError(f"{flags} can only be used with --ray; add --ray local, or the address of a cluster")
    if not own:
        return None
    cluster = Cluster(**own)
    cluster.check_storage()
    return cluster
